{{ config(inputs=[{'model': 'int_flight_outcomes', 'lookback': 1}]) }}

with

{{ arrival_windows(['carrier_code'], hours=[6]) }}

select
    carrier_code,
    as_of,
    as_of_date,
    en_route_minutes_6h as carrier_en_route_minutes_6h,
    air_time_excess_minutes_6h as carrier_air_time_excess_minutes_6h
from arrival_windows
