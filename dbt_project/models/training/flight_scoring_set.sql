{{ config(materialized='view') }}

select * from {{ ref('flight_features') }}
