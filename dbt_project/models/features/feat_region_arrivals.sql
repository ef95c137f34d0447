{{ config(inputs=[{'model': 'int_flight_outcomes', 'lookback': 1}]) }}

with

{{ arrival_windows(['dest_region'], hours=[4]) }}

select
    dest_region,
    as_of,
    as_of_date,
    en_route_minutes_4h as region_en_route_minutes_4h,
    air_time_excess_minutes_4h as region_air_time_excess_minutes_4h
from arrival_windows
