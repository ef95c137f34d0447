{{ config(materialized='ephemeral') }}

with

publications as (
    select
        *,
        row_number() over (partition by tail_number order by known_at desc) as nth_newest
    from {{ ref('stg_aircraft') }}
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
from publications
where nth_newest = 1
