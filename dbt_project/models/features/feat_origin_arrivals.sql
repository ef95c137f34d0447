{{ config(inputs=[{'model': 'int_flight_outcomes', 'lookback': 1}]) }}

with

{{ arrival_windows(['origin_code'], hours=[3]) }}

select
    origin_code,
    as_of,
    as_of_date,
    en_route_minutes_3h as origin_en_route_minutes_3h,
    air_time_excess_minutes_3h as origin_air_time_excess_minutes_3h
from arrival_windows
