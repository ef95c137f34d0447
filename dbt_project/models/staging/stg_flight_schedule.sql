with

deliveries as (
    select * from {{ accepted_rows('flight_schedule') }}
),

flights as (
    select
        {{ flight_id() }} as flight_id,
        flight_date,
        carrier_code,
        cast(flight_number as int) as flight_number,
        nullif(trim(tail_number), '') as tail_number,
        origin_code,
        dest_code,
        sched_dep_at,
        cast(substr(sched_arr_local_time, 1, 2) as int) * 60
        + cast(substr(sched_arr_local_time, 3, 2) as int) as sched_arr_local_minute,
        cast(distance_miles as int) as distance_miles,
        published_at as known_at,
        _batch_id
    from deliveries
),

-- The first publication stands: a later one may have come after the flight's predictions were made.
first_known as (
    select
        *,
        row_number() over (
            partition by flight_date, flight_id
            order by known_at, _batch_id, tail_number, dest_code, sched_arr_local_minute, distance_miles
        ) as publication_number
    from flights
)

select
    flight_id,
    flight_date,
    carrier_code,
    flight_number,
    tail_number,
    origin_code,
    dest_code,
    sched_dep_at,
    sched_arr_local_minute,
    distance_miles,
    known_at
from first_known
where publication_number = 1
