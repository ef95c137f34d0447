{{
    config(inputs=[
        {'model': 'int_flights', 'lookback': 1},
        {'model': 'int_flight_events', 'lookback': 1},
    ])
}}

with

{{ departure_windows(['origin_code', 'carrier_code'], hours=[2, 5]) }}

select
    origin_code,
    carrier_code,
    as_of,
    as_of_date,
    late_15_5h / nullif(departures_5h, 0) as origin_carrier_late_15_share_5h,
    clipped_delay_2h / nullif(measured_2h, 0) as origin_carrier_clipped_delay_minutes_2h,
    departures_today as origin_carrier_departures_today,
    late_15_today / nullif(departures_today, 0) as origin_carrier_late_15_share_today,
    waiting as origin_carrier_waiting
from departure_windows
