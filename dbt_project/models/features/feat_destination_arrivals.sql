{{ config(inputs=[{'model': 'int_flight_outcomes', 'lookback': 2}]) }}

with

{{ arrival_windows(['dest_code'], hours=[4, 8, 24]) }}

select
    dest_code,
    as_of,
    as_of_date,
    en_route_minutes_4h as dest_en_route_minutes_4h,
    air_time_excess_minutes_4h as dest_air_time_excess_minutes_4h,
    en_route_minutes_8h as dest_en_route_minutes_8h,
    air_time_excess_minutes_8h as dest_air_time_excess_minutes_8h,
    en_route_minutes_24h as dest_en_route_minutes_24h
from arrival_windows
