{{
    config(
        day='flight_date',
        cluster_by=['flight_date'],
        until_watermark=true,
        reached_by=[
            {'model': 'int_flights'},
            {'model': 'feat_origin_weather', 'after': 1},
            {'model': 'feat_origin_departures', 'after': 1},
            {'model': 'feat_origin_history', 'after': 1},
            {'model': 'feat_origin_arrivals', 'after': 1},
            {'model': 'feat_carrier_departures', 'after': 1},
            {'model': 'feat_carrier_arrivals', 'after': 1},
            {'model': 'feat_origin_carrier_departures', 'after': 1},
            {'model': 'feat_carrier_history', 'after': 1},
            {'model': 'feat_destination_arrivals', 'after': 1},
            {'model': 'feat_region_arrivals', 'after': 1},
            {'model': 'feat_destination_history', 'after': 1},
            {'model': 'feat_route_history', 'after': 1},
            {'model': 'feat_flight_history', 'after': 1},
            {'model': 'feat_aircraft_legs', 'after': 2},
            {'source': 'aircraft', 'day': local_date('published_at'), 'after': 'open'},
        ],
    )
}}

with

scheduled_flights as (
    select * from {{ ref('int_flights') }}
    where {{ in_days('flight_date') }}
),

origin_weather as (
    select * from {{ ref('feat_origin_weather') }}
    where {{ in_days('known_date', before=1) }}
),

origin_departures as (
    select * from {{ ref('feat_origin_departures') }}
    where {{ in_days('as_of_date', before=1) }}
),

origin_history as (
    select * from {{ ref('feat_origin_history') }}
    where {{ in_days('as_of_date', before=1) }}
),

origin_arrivals as (
    select * from {{ ref('feat_origin_arrivals') }}
    where {{ in_days('as_of_date', before=1) }}
),

carrier_departures as (
    select * from {{ ref('feat_carrier_departures') }}
    where {{ in_days('as_of_date', before=1) }}
),

carrier_arrivals as (
    select * from {{ ref('feat_carrier_arrivals') }}
    where {{ in_days('as_of_date', before=1) }}
),

origin_carrier_departures as (
    select * from {{ ref('feat_origin_carrier_departures') }}
    where {{ in_days('as_of_date', before=1) }}
),

carrier_history as (
    select * from {{ ref('feat_carrier_history') }}
    where {{ in_days('as_of_date', before=1) }}
),

dest_arrivals as (
    select * from {{ ref('feat_destination_arrivals') }}
    where {{ in_days('as_of_date', before=1) }}
),

region_arrivals as (
    select * from {{ ref('feat_region_arrivals') }}
    where {{ in_days('as_of_date', before=1) }}
),

dest_history as (
    select * from {{ ref('feat_destination_history') }}
    where {{ in_days('as_of_date', before=1) }}
),

route_history as (
    select * from {{ ref('feat_route_history') }}
    where {{ in_days('as_of_date', before=1) }}
),

flight_history as (
    select * from {{ ref('feat_flight_history') }}
    where {{ in_days('as_of_date', before=1) }}
),

aircraft_legs as (
    select * from {{ ref('feat_aircraft_legs') }}
    where {{ in_days('known_date', before=2) }}
),

aircraft as (
    select * from {{ ref('stg_aircraft') }}
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
        cast(count(*) over (partition by origin_code, flight_date) as int) as origin_planned_day,
        cast(count(*) over (
            partition by origin_code, flight_date, date_trunc('hour', sched_dep_at)
        ) as int) as origin_planned_hour,
        cast(count(*) over (
            partition by carrier_code, origin_code, flight_date, date_trunc('hour', sched_dep_at)
        ) as int) as carrier_planned_hour
    from scheduled_flights
),

-- A flight is due, and scored, when all that was known at its instant has been delivered. A delivery until an
-- instant holds what became known before it, not at it.
due_flights as (
    select flights.*
    from with_schedule as flights
    cross join {{ ref('stg_delivery_watermark') }} as watermark
    where flights.predict_at < watermark.delivered_until
),

-- What each join below needs of a flight, and no more: narrow rows are cheap to sort.
asked as (
    select
        flight_id,
        predict_at,
        carrier_code,
        origin_code,
        dest_code,
        dest_region,
        departure_band,
        flight_code,
        previous_flight_id,
        tail_number
    from due_flights
),

at_origin as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['origin_code'],
            features=[
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
                    ],
                    'max_age': 'interval 12 hours',
                },
                {
                    'from': 'origin_departures',
                    'time': 'as_of',
                    'time_as': 'origin_departures_as_of',
                    'columns': [
                        'origin_departures_1h',
                        'origin_departures_3h',
                        'origin_late_15_share_1h',
                        'origin_late_15_share_3h',
                        'origin_late_30_share_3h',
                        'origin_clipped_delay_minutes_1h',
                        'origin_clipped_delay_minutes_3h',
                        'origin_waiting',
                        'origin_waiting_15',
                        'all_departures_1h',
                        'all_late_15_share_1h',
                        'all_late_15_share_3h',
                        'all_late_30_share_3h',
                        'all_clipped_delay_minutes_1h',
                        'all_waiting',
                        'all_waiting_15',
                    ],
                    'max_age': 'interval 1 hour',
                },
                {
                    'from': 'origin_history',
                    'time': 'as_of',
                    'time_as': 'origin_history_as_of',
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
                    'columns': ['origin_en_route_minutes_3h', 'origin_air_time_excess_minutes_3h'],
                    'max_age': 'interval 20 hours',
                },
            ],
        )
    }}
),

of_carrier as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['carrier_code'],
            features=[
                {
                    'from': 'carrier_departures',
                    'time': 'as_of',
                    'time_as': 'carrier_departures_as_of',
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
                    'columns': ['carrier_en_route_minutes_6h', 'carrier_air_time_excess_minutes_6h'],
                    'max_age': 'interval 20 hours',
                },
            ],
        )
    }}
),

of_carrier_at_origin as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['carrier_code', 'origin_code'],
            features=[
                {
                    'from': 'origin_carrier_departures',
                    'time': 'as_of',
                    'time_as': 'origin_carrier_departures_as_of',
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
                    'columns': [
                        'carrier_delay_minutes_7d',
                        'carrier_late_excess_7d',
                        'carrier_late_excess_45d',
                    ],
                    'max_age': 'interval 24 hours',
                },
            ],
        )
    }}
),

at_destination as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['dest_code'],
            features=[
                {
                    'from': 'dest_arrivals',
                    'time': 'as_of',
                    'time_as': 'dest_arrivals_as_of',
                    'columns': [
                        'dest_en_route_minutes_4h',
                        'dest_air_time_excess_minutes_4h',
                        'dest_en_route_minutes_8h',
                        'dest_air_time_excess_minutes_8h',
                    ],
                    'max_age': 'interval 20 hours',
                },
            ],
        )
    }}
),

in_region as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['dest_region'],
            features=[
                {
                    'from': 'region_arrivals',
                    'time': 'as_of',
                    'time_as': 'region_arrivals_as_of',
                    'columns': ['region_en_route_minutes_4h', 'region_air_time_excess_minutes_4h'],
                    'max_age': 'interval 20 hours',
                },
            ],
        )
    }}
),

to_destination as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['dest_code', 'departure_band'],
            features=[
                {
                    'from': 'dest_history',
                    'time': 'as_of',
                    'time_as': 'dest_history_as_of',
                    'columns': ['dest_late_excess_7d', 'dest_late_excess_45d', 'dest_late_excess_180d'],
                    'max_age': 'interval 24 hours',
                },
            ],
        )
    }}
),

on_route as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['carrier_code', 'origin_code', 'dest_code', 'departure_band'],
            features=[
                {
                    'from': 'route_history',
                    'time': 'as_of',
                    'time_as': 'route_history_as_of',
                    'columns': ['route_flights_180d', 'route_late_excess_45d', 'route_late_excess_180d'],
                    'max_age': 'interval 24 hours',
                },
            ],
        )
    }}
),

of_number as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['flight_code', 'origin_code'],
            features=[
                {
                    'from': 'flight_history',
                    'time': 'as_of',
                    'time_as': 'flight_history_as_of',
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
        )
    }}
),

of_previous_leg as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys={'previous_flight_id': 'flight_id'},
            features=[
                {
                    'from': 'aircraft_legs',
                    'time': 'known_at',
                    'time_as': 'previous_leg_known_at',
                    'columns': ['leg_status', 'leg_delay_minutes'],
                },
            ],
        )
    }}
),

of_aircraft as (
    {{
        point_in_time_join(
            spine='asked',
            spine_time='predict_at',
            keys=['tail_number'],
            features=[
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
        )
    }}
),

-- A previous leg of which nothing is known has not left: it is late by what has passed since its schedule.
previous_legs as (
    select
        flights.flight_id,
        legs.previous_leg_known_at,
        case
            when flights.previous_flight_id is null then 'no link'
            when legs.leg_status is not null then legs.leg_status
            when flights.previous_sched_dep_at <= flights.predict_at then 'waiting'
            else 'not due'
        end as previous_leg_status,
        case
            when legs.leg_status is not null then legs.leg_delay_minutes
            when flights.previous_sched_dep_at <= flights.predict_at
                then {{ minutes_between('flights.previous_sched_dep_at', 'flights.predict_at') }}
        end as previous_leg_delay_minutes
    from due_flights as flights
    inner join of_previous_leg as legs on flights.flight_id = legs.flight_id
)

select
    flights.flight_id,
    flights.flight_date,
    flights.predict_at,
    flights.sched_dep_at,
    flights.carrier_code,
    flights.origin_code,
    flights.dest_code,
    flights.dest_region,
    flights.flight_code,
    flights.schedule_known_at,
    flights.sched_dep_hour,
    flights.sched_dep_minute_of_day,
    weekday(flights.flight_date) + 1 as day_of_week,
    array_min(
        transform(holidays.dates, holiday -> abs(datediff(flights.flight_date, holiday)))
    ) as days_from_holiday,
    flights.distance_miles,
    flights.planned_duration_minutes,
    flights.planned_duration_minutes - flights.usual_duration_minutes as planned_duration_excess_minutes,
    flights.origin_planned_day,
    flights.origin_planned_hour,
    flights.carrier_planned_hour,
    at_origin.weather_known_at,
    at_origin.temperature_f,
    at_origin.dew_point_f,
    at_origin.humidity_percent,
    at_origin.wind_direction_degrees,
    at_origin.wind_speed_mph,
    at_origin.wind_gust_mph,
    at_origin.precipitation_inches,
    at_origin.pressure_millibars,
    at_origin.visibility_miles,
    at_origin.wind_east_mph,
    at_origin.wind_north_mph,
    at_origin.temperature_change_3h_f,
    at_origin.pressure_change_3h_millibars,
    at_origin.precipitation_6h_inches,
    at_origin.visibility_min_6h_miles,
    at_origin.all_visibility_min_miles,
    at_origin.all_visibility_min_6h_miles,
    at_origin.all_wind_speed_max_mph,
    {{ minutes_between('at_origin.weather_known_at', 'flights.predict_at') }} as weather_age_minutes,
    at_origin.origin_departures_as_of,
    at_origin.origin_departures_1h,
    at_origin.origin_departures_3h,
    at_origin.origin_late_15_share_1h,
    at_origin.origin_late_15_share_3h,
    at_origin.origin_late_30_share_3h,
    at_origin.origin_clipped_delay_minutes_1h,
    at_origin.origin_clipped_delay_minutes_3h,
    at_origin.origin_waiting,
    at_origin.origin_waiting_15,
    at_origin.all_departures_1h,
    at_origin.all_late_15_share_1h,
    at_origin.all_late_15_share_3h,
    at_origin.all_late_30_share_3h,
    at_origin.all_clipped_delay_minutes_1h,
    at_origin.all_waiting,
    at_origin.all_waiting_15,
    at_origin.origin_history_as_of,
    at_origin.origin_late_share_1d,
    at_origin.origin_late_share_3d,
    at_origin.origin_late_share_7d,
    at_origin.origin_delay_minutes_1d,
    at_origin.origin_delay_minutes_7d,
    at_origin.all_late_share_1d,
    at_origin.all_late_share_3d,
    at_origin.all_late_share_7d,
    at_origin.all_delay_minutes_1d,
    at_origin.all_delay_minutes_7d,
    at_origin.origin_arrivals_as_of,
    at_origin.origin_en_route_minutes_3h,
    at_origin.origin_air_time_excess_minutes_3h,
    of_carrier.carrier_departures_as_of,
    of_carrier.carrier_departures_1h,
    of_carrier.carrier_departures_3h,
    of_carrier.carrier_late_15_share_1h,
    of_carrier.carrier_late_15_share_3h,
    of_carrier.carrier_late_30_share_3h,
    of_carrier.carrier_clipped_delay_minutes_1h,
    of_carrier.carrier_clipped_delay_minutes_3h,
    of_carrier.carrier_waiting,
    of_carrier.carrier_waiting_15,
    of_carrier.carrier_arrivals_as_of,
    of_carrier.carrier_en_route_minutes_6h,
    of_carrier.carrier_air_time_excess_minutes_6h,
    of_carrier_at_origin.origin_carrier_departures_as_of,
    of_carrier_at_origin.origin_carrier_late_15_share_5h,
    of_carrier_at_origin.origin_carrier_clipped_delay_minutes_2h,
    of_carrier_at_origin.origin_carrier_departures_today,
    of_carrier_at_origin.origin_carrier_late_15_share_today,
    of_carrier_at_origin.origin_carrier_waiting,
    of_carrier_at_origin.carrier_history_as_of,
    of_carrier_at_origin.carrier_delay_minutes_7d,
    of_carrier_at_origin.carrier_late_excess_7d,
    of_carrier_at_origin.carrier_late_excess_45d,
    at_destination.dest_arrivals_as_of,
    at_destination.dest_en_route_minutes_4h,
    at_destination.dest_air_time_excess_minutes_4h,
    at_destination.dest_en_route_minutes_8h,
    at_destination.dest_air_time_excess_minutes_8h,
    in_region.region_arrivals_as_of,
    in_region.region_en_route_minutes_4h,
    in_region.region_air_time_excess_minutes_4h,
    to_destination.dest_history_as_of,
    to_destination.dest_late_excess_7d,
    to_destination.dest_late_excess_45d,
    to_destination.dest_late_excess_180d,
    on_route.route_history_as_of,
    on_route.route_flights_180d,
    on_route.route_late_excess_45d,
    on_route.route_late_excess_180d,
    of_number.flight_history_as_of,
    of_number.flight_flights_30d,
    of_number.flight_delay_minutes_7d,
    of_number.flight_delay_minutes_30d,
    of_number.flight_late_excess_7d,
    of_number.flight_late_excess_30d,
    of_number.flight_late_excess_180d,
    previous_legs.previous_leg_known_at,
    previous_legs.previous_leg_status,
    previous_legs.previous_leg_delay_minutes,
    flights.previous_slack_minutes,
    previous_legs.previous_leg_delay_minutes - flights.previous_slack_minutes
        as previous_leg_projected_delay_minutes,
    of_aircraft.aircraft_known_at,
    year(flights.flight_date) - of_aircraft.manufacture_year as aircraft_age_years,
    of_aircraft.seat_count,
    of_aircraft.engine_count,
    of_aircraft.engine_type,
    of_aircraft.manufacturer
from due_flights as flights
inner join at_origin on flights.flight_id = at_origin.flight_id
inner join of_carrier on flights.flight_id = of_carrier.flight_id
inner join of_carrier_at_origin on flights.flight_id = of_carrier_at_origin.flight_id
inner join at_destination on flights.flight_id = at_destination.flight_id
inner join in_region on flights.flight_id = in_region.flight_id
inner join to_destination on flights.flight_id = to_destination.flight_id
inner join on_route on flights.flight_id = on_route.flight_id
inner join of_number on flights.flight_id = of_number.flight_id
inner join previous_legs on flights.flight_id = previous_legs.flight_id
inner join of_aircraft on flights.flight_id = of_aircraft.flight_id
cross join holidays
