with

deliveries as (
    select * from {{ accepted_rows('airlines') }}
),

airlines as (
    select
        carrier_code,
        trim(airline_name) as airline_name,
        published_at as known_at,
        row_number() over (
            partition by carrier_code, published_at
            order by _batch_id desc, airline_name desc
        ) as delivery_number
    from deliveries
)

select
    carrier_code,
    airline_name,
    known_at
from airlines
where delivery_number = 1
