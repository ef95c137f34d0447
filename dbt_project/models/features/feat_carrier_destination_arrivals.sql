{{ config(inputs=[{'model': 'int_flight_outcomes', 'lookback': 2}]) }}

with

{{ arrival_windows(['carrier_code', 'dest_code'], hours=[24]) }}

select
    carrier_code,
    dest_code,
    as_of,
    as_of_date,
    en_route_minutes_24h as carrier_dest_en_route_minutes_24h
from arrival_windows
