{{
    config(inputs=[
        {'model': 'int_flights'},
        {'model': 'int_flight_outcomes', 'lookback': 180},
    ])
}}

with

{{ daily_history(['flight_code', 'origin_code'], days=[7, 30, 180]) }}

select
    flight_code,
    origin_code,
    as_of,
    as_of_date,
    flights_30d as flight_flights_30d,
    delay_7d / nullif(flights_7d, 0) as flight_delay_minutes_7d,
    delay_30d / nullif(flights_30d, 0) as flight_delay_minutes_30d,
    {{ late_excess(7, shrink=5) }} as flight_late_excess_7d,
    {{ late_excess(30, shrink=10) }} as flight_late_excess_30d,
    {{ late_excess(180, shrink=10) }} as flight_late_excess_180d
from daily_history
