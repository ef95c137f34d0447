with

deliveries as (
    select * from {{ accepted_rows('airports') }}
),

airports as (
    select
        airport_code,
        airport_name,
        cast(latitude as double) as latitude,
        cast(longitude as double) as longitude,
        cast(altitude_feet as int) as altitude_feet,
        nullif(trim(time_zone), '') as time_zone,
        published_at as known_at,
        row_number() over (
            partition by airport_code, published_at
            order by _batch_id desc, airport_name desc, time_zone desc
        ) as delivery_number
    from deliveries
)

select
    airport_code,
    airport_name,
    latitude,
    longitude,
    altitude_feet,
    time_zone,
    known_at
from airports
where delivery_number = 1
