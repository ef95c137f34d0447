with

deliveries as (
    select * from {{ accepted_rows('readings') }}
),

last_delivered as (
    select
        station,
        measured_at,
        to_date(measured_at) as measured_date,
        amount,
        reported_at,
        reported_at as known_at,
        to_date(reported_at) as known_date,
        row_number() over (
            partition by to_date(reported_at), reported_at, station, measured_at
            order by _batch_id desc, amount desc
        ) as delivery_number
    from deliveries
)

select
    station,
    measured_at,
    measured_date,
    amount,
    reported_at,
    known_at,
    known_date
from last_delivered
where delivery_number = 1
