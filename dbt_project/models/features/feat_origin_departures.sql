{{
    config(inputs=[
        {'model': 'int_flights', 'lookback': 1},
        {'model': 'int_flight_events', 'lookback': 1},
    ])
}}

with

{{ departure_windows(['origin_code'], hours=[1, 3]) }},

all_origins as (
    select
        as_of,
        sum(departures_1h) as departures_1h,
        sum(late_15_1h) as late_15_1h,
        sum(departures_3h) as departures_3h,
        sum(late_15_3h) as late_15_3h,
        sum(measured_1h) as measured_1h,
        sum(clipped_delay_1h) as clipped_delay_1h,
        sum(measured_3h) as measured_3h,
        sum(late_30_3h) as late_30_3h,
        sum(departures_today) as departures_today,
        sum(late_15_today) as late_15_today,
        sum(waiting) as waiting,
        sum(waiting_15) as waiting_15
    from departure_windows
    group by as_of
)

select
    departure_windows.origin_code,
    departure_windows.as_of,
    departure_windows.as_of_date,
    departure_windows.departures_1h as origin_departures_1h,
    departure_windows.departures_3h as origin_departures_3h,
    departure_windows.late_15_1h / nullif(departure_windows.departures_1h, 0) as origin_late_15_share_1h,
    departure_windows.late_15_3h / nullif(departure_windows.departures_3h, 0) as origin_late_15_share_3h,
    departure_windows.late_30_3h / nullif(departure_windows.measured_3h, 0) as origin_late_30_share_3h,
    departure_windows.clipped_delay_1h / nullif(departure_windows.measured_1h, 0)
        as origin_clipped_delay_minutes_1h,
    departure_windows.clipped_delay_3h / nullif(departure_windows.measured_3h, 0)
        as origin_clipped_delay_minutes_3h,
    departure_windows.late_15_today / nullif(departure_windows.departures_today, 0)
        as origin_late_15_share_today,
    departure_windows.waiting as origin_waiting,
    departure_windows.waiting_15 as origin_waiting_15,
    all_origins.departures_1h as all_departures_1h,
    all_origins.late_15_1h / nullif(all_origins.departures_1h, 0) as all_late_15_share_1h,
    all_origins.late_15_3h / nullif(all_origins.departures_3h, 0) as all_late_15_share_3h,
    all_origins.late_30_3h / nullif(all_origins.measured_3h, 0) as all_late_30_share_3h,
    all_origins.clipped_delay_1h / nullif(all_origins.measured_1h, 0) as all_clipped_delay_minutes_1h,
    all_origins.late_15_today / nullif(all_origins.departures_today, 0) as all_late_15_share_today,
    all_origins.waiting as all_waiting,
    all_origins.waiting_15 as all_waiting_15
from departure_windows
inner join all_origins on departure_windows.as_of = all_origins.as_of
