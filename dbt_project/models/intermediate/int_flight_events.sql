{{
    config(
        event_date='known_date',
        cluster_by=['known_date', 'flight_date'],
        inputs=[
            {
                'source': 'flight_actuals',
                'as': 'stg_flight_events',
                'day': local_date('reported_at + interval 15 minutes'),
                'time': 'reported_at',
            },
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
from {{ days_of('stg_flight_events') }}
