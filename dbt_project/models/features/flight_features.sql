{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'int_flights'},
            {'model': 'feat_origin_weather', 'lookback': 1},
            {'model': 'feat_origin_departures', 'lookback': 1},
            {'model': 'feat_origin_history', 'lookback': 1},
            {'model': 'feat_origin_arrivals', 'lookback': 1},
            {'model': 'feat_carrier_departures', 'lookback': 1},
            {'model': 'feat_carrier_arrivals', 'lookback': 1},
            {'model': 'feat_origin_carrier_departures', 'lookback': 1},
            {'model': 'feat_carrier_history', 'lookback': 1},
            {'model': 'feat_destination_arrivals', 'lookback': 1},
            {'model': 'feat_carrier_destination_arrivals', 'lookback': 1},
            {'model': 'feat_region_arrivals', 'lookback': 1},
            {'model': 'feat_destination_history', 'lookback': 1},
            {'model': 'feat_route_history', 'lookback': 1},
            {'model': 'feat_flight_history', 'lookback': 1},
            {'model': 'feat_aircraft_legs', 'lookback': 2},
            {'source': 'aircraft', 'as': 'stg_aircraft', 'day': local_date('published_at'), 'lookback': 'all'},
        ],
    )
}}

with

-- By the day, which is part of every window's key below: none of them moves a row again.
scheduled_flights as (
    select /*+ repartition(flight_date) */ * from {{ days_of('int_flights') }}
),

origin_weather as (
    select * from {{ days_of('feat_origin_weather') }}
),

origin_departures as (
    select * from {{ days_of('feat_origin_departures') }}
),

origin_history as (
    select * from {{ days_of('feat_origin_history') }}
),

origin_arrivals as (
    select * from {{ days_of('feat_origin_arrivals') }}
),

carrier_departures as (
    select * from {{ days_of('feat_carrier_departures') }}
),

carrier_arrivals as (
    select * from {{ days_of('feat_carrier_arrivals') }}
),

origin_carrier_departures as (
    select * from {{ days_of('feat_origin_carrier_departures') }}
),

carrier_history as (
    select * from {{ days_of('feat_carrier_history') }}
),

dest_arrivals as (
    select * from {{ days_of('feat_destination_arrivals') }}
),

carrier_dest_arrivals as (
    select * from {{ days_of('feat_carrier_destination_arrivals') }}
),

region_arrivals as (
    select * from {{ days_of('feat_region_arrivals') }}
),

dest_history as (
    select * from {{ days_of('feat_destination_history') }}
),

route_history as (
    select * from {{ days_of('feat_route_history') }}
),

flight_history as (
    select * from {{ days_of('feat_flight_history') }}
),

aircraft_legs as (
    select * from {{ days_of('feat_aircraft_legs') }}
),

aircraft as (
    select * from {{ days_of('stg_aircraft') }}
),

holidays as (
    select array_sort(collect_list(holiday_date)) as dates from {{ ref('us_holidays') }}
),

with_schedule as (
    select
        *,
        hour({{ local_time('sched_dep_at') }}) as sched_dep_hour,
        hour({{ local_time('sched_dep_at') }}) * 60
        + minute({{ local_time('sched_dep_at') }}) as sched_dep_minute_of_day,
        {{ planned_flights('all', []) }},
        {{ planned_flights('origin', ['origin_code']) }},
        {{ planned_flights('carrier', ['carrier_code']) }},
        {{ planned_flights('origin_carrier', ['origin_code', 'carrier_code']) }},
        {{ planned_flights('dest', ['dest_code']) }},
        {{ planned_flights('region', ['dest_region']) }},
        {{ planned_earlier([]) }} as all_planned_earlier,
        {{ planned_earlier(['origin_code']) }} as origin_planned_earlier,
        {{ planned_earlier(['carrier_code']) }} as carrier_planned_earlier,
        {{ planned_earlier(['origin_code', 'carrier_code']) }} as origin_carrier_planned_earlier,
        {{ planned_arrivals_around(['carrier_code']) }} as carrier_planned_arrivals_around,
        {{ planned_arrivals_around(['dest_code']) }} as dest_planned_arrivals_around,
        {{ planned_arrivals_around(['dest_region']) }} as region_planned_arrivals_around,
        {{ planned_headway_minutes(['origin_code', 'dest_code']) }} as route_headway_minutes,
        {{ planned_headway_minutes(['carrier_code', 'dest_code']) }} as carrier_dest_headway_minutes,
        cast(count(*) over (
            partition by origin_code, flight_date, date_trunc('hour', sched_dep_at)
        ) as int) as origin_planned_hour,
        cast(count(*) over (
            partition by carrier_code, origin_code, flight_date, date_trunc('hour', sched_dep_at)
        ) as int) as carrier_planned_hour,
        cast(count(*) over (
            partition by origin_code, flight_date order by sched_dep_at
            range between interval 3 hours preceding and current row
        ) as int) as origin_planned_3h,
        cast(count(*) over (
            partition by flight_date order by sched_dep_at
            range between interval 30 minutes preceding and interval 30 minutes following
        ) as int) as all_planned_around,
        cast(count(*) over (
            partition by dest_code, flight_date order by sched_dep_at
            range between interval 30 minutes preceding and interval 30 minutes following
        ) as int) as dest_planned_around
    from scheduled_flights
),

-- A flight is due, and scored, when all that was known at its instant has been delivered. A delivery until an
-- instant holds what became known before it, not at it.
due_flights as (
    select flights.*
    from with_schedule as flights
    where flights.predict_at < {{ delivered_until() }}
),

known as (
    {{
        point_in_time_join(
            spine='due_flights',
            spine_key=['flight_id'],
            spine_time='predict_at',
            joins=[
                {
                    'keys': ['origin_code'],
                    'features': [
                        {
                            'from': 'origin_weather',
                            'time': 'known_at',
                            'time_as': 'weather_known_at',
                            'columns': [
                                'temperature_f',
                                'dew_point_f',
                                'humidity_percent',
                                'wind_direction_degrees',
                                'wind_speed_mph',
                                'wind_gust_mph',
                                'precipitation_inches',
                                'pressure_millibars',
                                'visibility_miles',
                                'wind_east_mph',
                                'wind_north_mph',
                                'temperature_change_3h_f',
                                'pressure_change_3h_millibars',
                                'precipitation_6h_inches',
                                'visibility_min_6h_miles',
                                'all_visibility_min_miles',
                                'all_visibility_min_6h_miles',
                                'all_wind_speed_max_mph',
                                'all_temperature_f',
                                'all_dew_point_f',
                                'all_pressure_min_millibars',
                                'all_wind_speed_12h_mph',
                                'all_wind_speed_max_12h_mph',
                                'all_wind_gust_max_12h_mph',
                                'all_wind_east_12h_mph',
                                'all_wind_north_12h_mph',
                                'all_precipitation_12h_inches',
                                'all_humidity_12h_percent',
                                'all_visibility_12h_miles',
                                'all_pressure_change_12h_millibars',
                                'all_dew_point_change_12h_f',
                            ],
                            'max_age': 'interval 12 hours',
                        },
                        {
                            'from': 'origin_departures',
                            'time': 'as_of',
                            'time_as': 'origin_departures_as_of',
                            'at': last_grid_instant('predict_at'),
                            'columns': [
                                'origin_departures_1h',
                                'origin_departures_3h',
                                'origin_late_15_share_1h',
                                'origin_late_15_share_3h',
                                'origin_late_30_share_3h',
                                'origin_clipped_delay_minutes_1h',
                                'origin_clipped_delay_minutes_3h',
                                'origin_late_15_share_today',
                                'origin_waiting',
                                'origin_waiting_15',
                                'all_departures_1h',
                                'all_late_15_share_1h',
                                'all_late_15_share_3h',
                                'all_late_30_share_3h',
                                'all_clipped_delay_minutes_1h',
                                'all_late_15_share_today',
                                'all_waiting',
                                'all_waiting_15',
                            ],
                            'max_age': 'interval 1 hour',
                        },
                        {
                            'from': 'origin_history',
                            'time': 'as_of',
                            'time_as': 'origin_history_as_of',
                            'at': last_morning('predict_at'),
                            'columns': [
                                'origin_late_share_1d',
                                'origin_late_share_3d',
                                'origin_late_share_7d',
                                'origin_delay_minutes_1d',
                                'origin_delay_minutes_7d',
                                'all_late_share_1d',
                                'all_late_share_3d',
                                'all_late_share_7d',
                                'all_delay_minutes_1d',
                                'all_delay_minutes_7d',
                            ],
                            'max_age': 'interval 24 hours',
                        },
                        {
                            'from': 'origin_arrivals',
                            'time': 'as_of',
                            'time_as': 'origin_arrivals_as_of',
                            'columns': [
                                'origin_en_route_minutes_3h',
                                'origin_air_time_excess_minutes_3h',
                            ],
                            'max_age': 'interval 20 hours',
                        },
                    ],
                },
                {
                    'keys': ['carrier_code'],
                    'features': [
                        {
                            'from': 'carrier_departures',
                            'time': 'as_of',
                            'time_as': 'carrier_departures_as_of',
                            'at': last_grid_instant('predict_at'),
                            'columns': [
                                'carrier_departures_1h',
                                'carrier_departures_3h',
                                'carrier_late_15_share_1h',
                                'carrier_late_15_share_3h',
                                'carrier_late_30_share_3h',
                                'carrier_clipped_delay_minutes_1h',
                                'carrier_clipped_delay_minutes_3h',
                                'carrier_waiting',
                                'carrier_waiting_15',
                            ],
                            'max_age': 'interval 1 hour',
                        },
                        {
                            'from': 'carrier_arrivals',
                            'time': 'as_of',
                            'time_as': 'carrier_arrivals_as_of',
                            'columns': [
                                'carrier_en_route_minutes_6h',
                                'carrier_air_time_excess_minutes_6h',
                            ],
                            'max_age': 'interval 20 hours',
                        },
                    ],
                },
                {
                    'keys': ['carrier_code', 'origin_code'],
                    'features': [
                        {
                            'from': 'origin_carrier_departures',
                            'time': 'as_of',
                            'time_as': 'origin_carrier_departures_as_of',
                            'at': last_grid_instant('predict_at'),
                            'columns': [
                                'origin_carrier_late_15_share_5h',
                                'origin_carrier_clipped_delay_minutes_2h',
                                'origin_carrier_departures_today',
                                'origin_carrier_late_15_share_today',
                                'origin_carrier_waiting',
                            ],
                            'max_age': 'interval 1 hour',
                        },
                        {
                            'from': 'carrier_history',
                            'time': 'as_of',
                            'time_as': 'carrier_history_as_of',
                            'at': last_morning('predict_at'),
                            'columns': [
                                'carrier_delay_minutes_7d',
                                'carrier_late_excess_7d',
                                'carrier_late_excess_45d',
                            ],
                            'max_age': 'interval 24 hours',
                        },
                    ],
                },
                {
                    'keys': ['dest_code'],
                    'features': [
                        {
                            'from': 'dest_arrivals',
                            'time': 'as_of',
                            'time_as': 'dest_arrivals_as_of',
                            'columns': [
                                'dest_en_route_minutes_4h',
                                'dest_air_time_excess_minutes_4h',
                                'dest_en_route_minutes_8h',
                                'dest_air_time_excess_minutes_8h',
                                'dest_en_route_minutes_24h',
                            ],
                            'max_age': 'interval 20 hours',
                        },
                    ],
                },
                {
                    'keys': ['carrier_code', 'dest_code'],
                    'features': [
                        {
                            'from': 'carrier_dest_arrivals',
                            'time': 'as_of',
                            'time_as': 'carrier_dest_arrivals_as_of',
                            'columns': ['carrier_dest_en_route_minutes_24h'],
                            'max_age': 'interval 20 hours',
                        },
                    ],
                },
                {
                    'keys': ['dest_region'],
                    'features': [
                        {
                            'from': 'region_arrivals',
                            'time': 'as_of',
                            'time_as': 'region_arrivals_as_of',
                            'columns': [
                                'region_en_route_minutes_4h',
                                'region_air_time_excess_minutes_4h',
                            ],
                            'max_age': 'interval 20 hours',
                        },
                    ],
                },
                {
                    'keys': ['dest_code', 'departure_band'],
                    'features': [
                        {
                            'from': 'dest_history',
                            'time': 'as_of',
                            'time_as': 'dest_history_as_of',
                            'at': last_morning('predict_at'),
                            'columns': [
                                'dest_late_excess_7d',
                                'dest_late_excess_45d',
                                'dest_late_excess_180d',
                            ],
                            'max_age': 'interval 24 hours',
                        },
                    ],
                },
                {
                    'keys': ['carrier_code', 'origin_code', 'dest_code', 'departure_band'],
                    'features': [
                        {
                            'from': 'route_history',
                            'time': 'as_of',
                            'time_as': 'route_history_as_of',
                            'at': last_morning('predict_at'),
                            'columns': [
                                'route_flights_180d',
                                'route_late_excess_45d',
                                'route_late_excess_180d',
                            ],
                            'max_age': 'interval 24 hours',
                        },
                    ],
                },
                {
                    'keys': ['flight_code', 'origin_code'],
                    'features': [
                        {
                            'from': 'flight_history',
                            'time': 'as_of',
                            'time_as': 'flight_history_as_of',
                            'at': last_morning('predict_at'),
                            'columns': [
                                'flight_flights_30d',
                                'flight_delay_minutes_7d',
                                'flight_delay_minutes_30d',
                                'flight_late_excess_7d',
                                'flight_late_excess_30d',
                                'flight_late_excess_180d',
                            ],
                            'max_age': 'interval 24 hours',
                        },
                    ],
                },
                {
                    'keys': {'previous_flight_id': 'flight_id'},
                    'features': [
                        {
                            'from': 'aircraft_legs',
                            'time': 'known_at',
                            'time_as': 'previous_leg_known_at',
                            'columns': ['leg_status', 'leg_delay_minutes'],
                        },
                    ],
                },
                {
                    'keys': ['tail_number'],
                    'features': [
                        {
                            'from': 'aircraft',
                            'time': 'known_at',
                            'time_as': 'aircraft_known_at',
                            'columns': [
                                'manufacture_year',
                                'seat_count',
                                'engine_count',
                                'engine_type',
                                'manufacturer',
                            ],
                        },
                    ],
                },
            ],
        )
    }}
),

-- A previous leg of which nothing is known has not left: it is late by what has passed since its schedule.
with_previous_leg as (
    select
        *,
        case
            when previous_flight_id is null then 'no link'
            when leg_status is not null then leg_status
            when previous_sched_dep_at <= predict_at then 'waiting'
            else 'not due'
        end as previous_leg_status,
        case
            when leg_status is not null then leg_delay_minutes
            when previous_sched_dep_at <= predict_at
                then {{ minutes_between('previous_sched_dep_at', 'predict_at') }}
        end as previous_leg_delay_minutes
    from known
),

with_holidays as (
    select
        flights.*,
        array_min(
            transform(holidays.dates, holiday -> abs(datediff(flights.flight_date, holiday)))
        ) as days_from_holiday
    from with_previous_leg as flights
    cross join holidays
)

select
    flight_id,
    flight_date,
    predict_at,
    sched_dep_at,
    carrier_code,
    origin_code,
    dest_code,
    dest_region,
    flight_code,
    schedule_known_at,
    sched_dep_hour,
    sched_dep_minute_of_day,
    weekday(flight_date) + 1 as day_of_week,
    days_from_holiday,
    distance_miles,
    planned_duration_minutes,
    planned_duration_minutes - usual_duration_minutes as planned_duration_excess_minutes,
    origin_planned_hour,
    carrier_planned_hour,
    origin_planned_3h,
    all_planned_around,
    dest_planned_around,
    all_planned_day,
    all_planned_1h_before,
    all_planned_1h_after,
    all_planned_earlier,
    origin_planned_day,
    origin_planned_1h_before,
    origin_planned_1h_after,
    origin_planned_earlier,
    carrier_planned_day,
    carrier_planned_1h_before,
    carrier_planned_1h_after,
    carrier_planned_earlier,
    carrier_planned_arrivals_around,
    origin_carrier_planned_day,
    origin_carrier_planned_1h_before,
    origin_carrier_planned_1h_after,
    origin_carrier_planned_earlier,
    dest_planned_day,
    dest_planned_1h_before,
    dest_planned_1h_after,
    dest_planned_arrivals_around,
    region_planned_day,
    region_planned_1h_before,
    region_planned_1h_after,
    region_planned_arrivals_around,
    route_headway_minutes,
    carrier_dest_headway_minutes,
    weather_known_at,
    temperature_f,
    dew_point_f,
    humidity_percent,
    wind_direction_degrees,
    wind_speed_mph,
    wind_gust_mph,
    precipitation_inches,
    pressure_millibars,
    visibility_miles,
    wind_east_mph,
    wind_north_mph,
    temperature_change_3h_f,
    pressure_change_3h_millibars,
    precipitation_6h_inches,
    visibility_min_6h_miles,
    all_visibility_min_miles,
    all_visibility_min_6h_miles,
    all_wind_speed_max_mph,
    all_temperature_f,
    all_dew_point_f,
    all_pressure_min_millibars,
    all_wind_speed_12h_mph,
    all_wind_speed_max_12h_mph,
    all_wind_gust_max_12h_mph,
    all_wind_east_12h_mph,
    all_wind_north_12h_mph,
    all_precipitation_12h_inches,
    all_humidity_12h_percent,
    all_visibility_12h_miles,
    all_pressure_change_12h_millibars,
    all_dew_point_change_12h_f,
    {{ minutes_between('weather_known_at', 'predict_at') }} as weather_age_minutes,
    origin_departures_as_of,
    origin_departures_1h,
    origin_departures_3h,
    origin_late_15_share_1h,
    origin_late_15_share_3h,
    origin_late_30_share_3h,
    origin_clipped_delay_minutes_1h,
    origin_clipped_delay_minutes_3h,
    origin_late_15_share_today,
    origin_waiting,
    origin_waiting_15,
    all_departures_1h,
    all_late_15_share_1h,
    all_late_15_share_3h,
    all_late_30_share_3h,
    all_clipped_delay_minutes_1h,
    all_late_15_share_today,
    all_waiting,
    all_waiting_15,
    origin_history_as_of,
    origin_late_share_1d,
    origin_late_share_3d,
    origin_late_share_7d,
    origin_delay_minutes_1d,
    origin_delay_minutes_7d,
    all_late_share_1d,
    all_late_share_3d,
    all_late_share_7d,
    all_delay_minutes_1d,
    all_delay_minutes_7d,
    origin_arrivals_as_of,
    origin_en_route_minutes_3h,
    origin_air_time_excess_minutes_3h,
    carrier_departures_as_of,
    carrier_departures_1h,
    carrier_departures_3h,
    carrier_late_15_share_1h,
    carrier_late_15_share_3h,
    carrier_late_30_share_3h,
    carrier_clipped_delay_minutes_1h,
    carrier_clipped_delay_minutes_3h,
    carrier_waiting,
    carrier_waiting_15,
    carrier_arrivals_as_of,
    carrier_en_route_minutes_6h,
    carrier_air_time_excess_minutes_6h,
    origin_carrier_departures_as_of,
    origin_carrier_late_15_share_5h,
    origin_carrier_clipped_delay_minutes_2h,
    origin_carrier_departures_today,
    origin_carrier_late_15_share_today,
    origin_carrier_waiting,
    carrier_history_as_of,
    carrier_delay_minutes_7d,
    carrier_late_excess_7d,
    carrier_late_excess_45d,
    dest_arrivals_as_of,
    dest_en_route_minutes_4h,
    dest_air_time_excess_minutes_4h,
    dest_en_route_minutes_8h,
    dest_air_time_excess_minutes_8h,
    dest_en_route_minutes_24h,
    carrier_dest_arrivals_as_of,
    carrier_dest_en_route_minutes_24h,
    region_arrivals_as_of,
    region_en_route_minutes_4h,
    region_air_time_excess_minutes_4h,
    dest_history_as_of,
    dest_late_excess_7d,
    dest_late_excess_45d,
    dest_late_excess_180d,
    route_history_as_of,
    route_flights_180d,
    route_late_excess_45d,
    route_late_excess_180d,
    flight_history_as_of,
    flight_flights_30d,
    flight_delay_minutes_7d,
    flight_delay_minutes_30d,
    flight_late_excess_7d,
    flight_late_excess_30d,
    flight_late_excess_180d,
    previous_leg_known_at,
    previous_leg_status,
    previous_leg_delay_minutes,
    previous_slack_minutes,
    previous_leg_delay_minutes - previous_slack_minutes as previous_leg_projected_delay_minutes,
    aircraft_known_at,
    year(flight_date) - manufacture_year as aircraft_age_years,
    seat_count,
    engine_count,
    engine_type,
    manufacturer
from with_holidays
