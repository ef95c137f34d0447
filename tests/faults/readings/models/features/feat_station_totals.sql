{{ config(inputs=[{'model': 'int_readings', 'lookback': 2}]) }}

with

readings as (
    select * from {{ days_of('int_readings', reads_back=2) }}
),

-- A reading counts on the day on which it became known, and on two days more.
days as (
    select
        station,
        explode(sequence(known_date, date_add(known_date, 2))) as as_of_date,
        amount
    from readings
)

select
    station,
    as_of_date,
    cast(sum(amount) as bigint) as total_3d,
    count(*) as readings_3d
from days
where
    {{ in_days('as_of_date') }}
    and cast(as_of_date as timestamp) < {{ delivered_until() }}
group by station, as_of_date
