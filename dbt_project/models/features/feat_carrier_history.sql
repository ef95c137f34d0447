{{
    config(inputs=[
        {'model': 'int_flights'},
        {'model': 'int_flight_outcomes', 'lookback': 45},
    ])
}}

with

{{ daily_history(['carrier_code', 'origin_code'], days=[7, 45]) }}

select
    carrier_code,
    origin_code,
    as_of,
    as_of_date,
    delay_7d / nullif(flights_7d, 0) as carrier_delay_minutes_7d,
    {{ late_excess(7) }} as carrier_late_excess_7d,
    {{ late_excess(45) }} as carrier_late_excess_45d
from daily_history
