{{ config(materialized='ephemeral') }}

with

publications as (
    select
        *,
        row_number() over (partition by carrier_code order by known_at desc) as nth_newest
    from {{ ref('stg_airlines') }}
)

select
    carrier_code,
    airline_name,
    known_at
from publications
where nth_newest = 1
