with

deliveries as (
    select * from {{ accepted_rows('observations') }}
),

observations as (
    select
        station,
        observed_on,
        reported_at + interval 60 minutes as known_at,
        {{ local_date('reported_at + interval 60 minutes') }} as known_date,
        precipitation_mm,
        temperature_max_c,
        temperature_min_c,
        wind_mps,
        _batch_id
    from deliveries
),

last_delivered as (
    select
        *,
        row_number() over (
            partition by known_date, station, observed_on, known_at
            order by _batch_id desc
        ) as delivery_number
    from observations
)

select
    station,
    observed_on,
    known_at,
    known_date,
    precipitation_mm,
    temperature_max_c,
    temperature_min_c,
    wind_mps
from last_delivered
where delivery_number = 1
