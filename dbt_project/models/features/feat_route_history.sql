{{
    config(inputs=[
        {'model': 'int_flights'},
        {'model': 'int_flight_outcomes', 'lookback': 180},
    ])
}}

with

{{ daily_history(['carrier_code', 'origin_code', 'dest_code', 'departure_band'], days=[45, 180]) }}

select
    carrier_code,
    origin_code,
    dest_code,
    departure_band,
    as_of,
    as_of_date,
    flights_180d as route_flights_180d,
    {{ late_excess(45) }} as route_late_excess_45d,
    {{ late_excess(180) }} as route_late_excess_180d
from daily_history
