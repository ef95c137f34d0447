with

deliveries as (
    select * from {{ accepted_rows('flight_actuals') }}
),

events as (
    select
        {{ flight_id() }} as flight_id,
        {{ local_date('sched_dep_at') }} as flight_date,
        carrier_code,
        origin_code,
        sched_dep_at,
        event_type,
        event_at,
        cast(delay_minutes as int) as delay_minutes,
        cast(air_time_minutes as int) as air_time_minutes,
        reported_at,
        reported_at + interval 15 minutes as known_at,
        {{ local_date('reported_at + interval 15 minutes') }} as known_date,
        _batch_id
    from deliveries
),

-- One report of an event, however often it was delivered; of two that differ, the one of the later batch.
last_delivered as (
    select
        *,
        row_number() over (
            partition by known_date, reported_at, flight_id, event_type
            order by _batch_id desc, event_at desc, delay_minutes desc, air_time_minutes desc
        ) as delivery_number
    from events
)

select
    flight_id,
    flight_date,
    carrier_code,
    origin_code,
    sched_dep_at,
    event_type,
    event_at,
    delay_minutes,
    air_time_minutes,
    reported_at,
    known_at,
    known_date
from last_delivered
where delivery_number = 1
