{{
    config(
        event_date='known_date',
        until_frontier=false,
        inputs=[{'model': 'int_flight_events', 'lookback': 3}],
    )
}}

with

-- What is reported of a leg later than this matters to no flight that follows; nothing further back is read.
reports as (
    select * from {{ days_of('int_flight_events') }}
    where known_at <= sched_dep_at + interval 48 hours
),

by_instant as (
    select
        flight_id,
        known_at,
        known_date,
        max(if(event_type = 'departed', delay_minutes, null)) as dep_delay_minutes,
        max(if(event_type = 'arrived', delay_minutes, null)) as arr_delay_minutes,
        max(event_type = 'cancelled') as is_cancelled
    from reports
    group by flight_id, known_at, known_date
),

known_so_far as (
    select
        flight_id,
        known_at,
        known_date,
        last_value(dep_delay_minutes, true) over leg as dep_delay_minutes,
        last_value(arr_delay_minutes, true) over leg as arr_delay_minutes,
        max(is_cancelled) over leg as is_cancelled
    from by_instant
    window leg as (
        partition by flight_id order by known_at rows between unbounded preceding and current row
    )
)

select
    flight_id,
    known_at,
    known_date,
    case
        when arr_delay_minutes is not null then 'landed'
        when is_cancelled then 'cancelled'
        else 'airborne'
    end as leg_status,
    coalesce(arr_delay_minutes, dep_delay_minutes) as leg_delay_minutes
from known_so_far
where {{ in_days('known_date') }}
