{{
    config(inputs=[
        {'model': 'int_flights'},
        {'model': 'int_flight_outcomes', 'lookback': 7},
    ])
}}

with

{{ daily_history(['origin_code'], days=[1, 3, 7]) }}

select
    origin_code,
    as_of,
    as_of_date,
    late_1d / nullif(flights_1d, 0) as origin_late_share_1d,
    late_3d / nullif(flights_3d, 0) as origin_late_share_3d,
    late_7d / nullif(flights_7d, 0) as origin_late_share_7d,
    delay_1d / nullif(flights_1d, 0) as origin_delay_minutes_1d,
    delay_7d / nullif(flights_7d, 0) as origin_delay_minutes_7d,
    all_late_1d / nullif(all_flights_1d, 0) as all_late_share_1d,
    all_late_3d / nullif(all_flights_3d, 0) as all_late_share_3d,
    all_late_7d / nullif(all_flights_7d, 0) as all_late_share_7d,
    all_delay_1d / nullif(all_flights_1d, 0) as all_delay_minutes_1d,
    all_delay_7d / nullif(all_flights_7d, 0) as all_delay_minutes_7d
from daily_history
