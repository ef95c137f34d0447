with

deliveries as (
    select * from {{ accepted_rows('aircraft') }}
),

aircraft as (
    select
        trim(tail_number) as tail_number,
        cast(manufacture_year as int) as manufacture_year,
        aircraft_type,
        manufacturer,
        model as aircraft_model,
        cast(engine_count as int) as engine_count,
        cast(seat_count as int) as seat_count,
        engine_type,
        published_at as known_at,
        row_number() over (
            partition by trim(tail_number), published_at
            order by _batch_id desc, manufacture_year desc, model desc, seat_count desc, engine_count desc
        ) as delivery_number
    from deliveries
)

select
    tail_number,
    manufacture_year,
    aircraft_type,
    manufacturer,
    aircraft_model,
    engine_count,
    seat_count,
    engine_type,
    known_at
from aircraft
where delivery_number = 1
