{{
    config(inputs=[
        {'model': 'int_flights'},
        {'model': 'int_flight_outcomes', 'lookback': 180},
    ])
}}

with

{{ daily_history(['dest_code', 'departure_band'], days=[7, 45, 180]) }}

select
    dest_code,
    departure_band,
    as_of,
    as_of_date,
    {{ late_excess(7) }} as dest_late_excess_7d,
    {{ late_excess(45) }} as dest_late_excess_45d,
    {{ late_excess(180) }} as dest_late_excess_180d
from daily_history
