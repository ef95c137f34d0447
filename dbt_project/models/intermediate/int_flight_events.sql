{{
    config(
        day='known_date',
        cluster_by=['known_date', 'flight_date'],
        reached_by=[
            {'source': 'flight_actuals', 'day': local_date('reported_at + interval 15 minutes')},
        ],
    )
}}

select
    flight_id,
    flight_date,
    sched_dep_at,
    event_type,
    event_at,
    delay_minutes,
    air_time_minutes,
    reported_at,
    known_at,
    known_date
from {{ ref('stg_flight_events') }}
where
    {{ in_days('known_date') }}
    -- The same days again, on a column that bronze's files are skipped by.
    and {{ in_days_of('reported_at', before=1) }}
