{{
    config(inputs=[
        {'model': 'int_flights', 'lookback': 1},
        {'model': 'int_flight_events', 'lookback': 1},
    ])
}}

with

{{ departure_windows(['carrier_code'], hours=[1, 3]) }}

select
    carrier_code,
    as_of,
    as_of_date,
    departures_1h as carrier_departures_1h,
    departures_3h as carrier_departures_3h,
    late_15_1h / nullif(departures_1h, 0) as carrier_late_15_share_1h,
    late_15_3h / nullif(departures_3h, 0) as carrier_late_15_share_3h,
    late_30_3h / nullif(measured_3h, 0) as carrier_late_30_share_3h,
    clipped_delay_1h / nullif(measured_1h, 0) as carrier_clipped_delay_minutes_1h,
    clipped_delay_3h / nullif(measured_3h, 0) as carrier_clipped_delay_minutes_3h,
    waiting as carrier_waiting,
    waiting_15 as carrier_waiting_15
from departure_windows
