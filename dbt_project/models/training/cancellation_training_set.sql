{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'flight_features'},
            {'model': 'int_flight_events', 'day': 'flight_date', 'staged': 'stg_flight_events'},
        ],
    )
}}

with

flights as (
    select * from {{ days_of('flight_features') }}
),

reports as (
    select
        flight_id,
        known_at,
        bool_and(event_type = 'cancelled') as is_cancelled
    from {{ days_of('int_flight_events') }}
    group by flight_id, known_at
),

with_report_before as (
    select
        *,
        lag(is_cancelled) over (partition by flight_id order by known_at) as was_cancelled
    from reports
),

-- A report that says the same again makes no further version.
label_versions as (
    select
        flight_id,
        is_cancelled,
        known_at as label_known_at,
        lead(known_at) over (partition by flight_id order by known_at) as label_superseded_at
    from with_report_before
    where was_cancelled is distinct from is_cancelled
)

select
    flights.flight_id,
    flights.flight_date,
    flights.predict_at,
    flights.carrier_code,
    flights.origin_code,
    flights.dest_code,
    flights.dest_region,
    flights.schedule_known_at,
    flights.sched_dep_hour,
    flights.day_of_week,
    flights.days_from_holiday,
    flights.distance_miles,
    flights.origin_planned_hour,
    flights.carrier_planned_hour,
    flights.weather_known_at,
    flights.temperature_f,
    flights.wind_speed_mph,
    flights.wind_gust_mph,
    flights.precipitation_inches,
    flights.pressure_millibars,
    flights.visibility_miles,
    flights.temperature_change_3h_f,
    flights.pressure_change_3h_millibars,
    flights.precipitation_6h_inches,
    flights.visibility_min_6h_miles,
    flights.all_visibility_min_6h_miles,
    flights.all_wind_speed_max_mph,
    flights.origin_departures_as_of,
    flights.origin_departures_3h,
    flights.origin_late_30_share_3h,
    flights.origin_clipped_delay_minutes_3h,
    flights.origin_waiting,
    flights.origin_waiting_15,
    flights.all_departures_1h,
    flights.all_late_30_share_3h,
    flights.all_waiting_15,
    flights.origin_history_as_of,
    flights.origin_late_share_1d,
    flights.all_late_share_1d,
    flights.carrier_departures_as_of,
    flights.carrier_departures_3h,
    flights.carrier_late_30_share_3h,
    flights.carrier_waiting_15,
    flights.origin_carrier_departures_as_of,
    flights.origin_carrier_departures_today,
    flights.origin_carrier_late_15_share_today,
    flights.origin_carrier_waiting,
    flights.route_history_as_of,
    flights.route_flights_180d,
    flights.flight_history_as_of,
    flights.flight_flights_30d,
    label_versions.is_cancelled,
    label_versions.label_known_at,
    label_versions.label_superseded_at
from flights
inner join label_versions on flights.flight_id = label_versions.flight_id
where label_versions.label_known_at > flights.predict_at
