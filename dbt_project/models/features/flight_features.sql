{{
    config(
        day='flight_date',
        cluster_by=['flight_date'],
        until_watermark=true,
        reached_by=[
            {'model': 'int_flights'},
            {'model': 'feat_origin_departures', 'after': 1},
            {'model': 'feat_carrier_departures', 'after': 1},
            {'model': 'feat_origin_weather', 'after': 1},
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

carrier_departures as (
    select * from {{ ref('feat_carrier_departures') }}
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

with_origin as (
    {{
        point_in_time_join(
            spine='due_flights',
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
            ],
        )
    }}
),

with_carrier as (
    {{
        point_in_time_join(
            spine='with_origin',
            spine_time='predict_at',
            keys=['carrier_code'],
            features=[{
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
            }],
        )
    }}
),

with_previous_leg as (
    {{
        point_in_time_join(
            spine='with_carrier',
            spine_time='predict_at',
            keys={'previous_flight_id': 'flight_id'},
            features=[{
                'from': 'aircraft_legs',
                'time': 'known_at',
                'time_as': 'previous_leg_known_at',
                'columns': ['leg_status', 'leg_delay_minutes'],
            }],
        )
    }}
),

with_aircraft as (
    {{
        point_in_time_join(
            spine='with_previous_leg',
            spine_time='predict_at',
            keys=['tail_number'],
            features=[{
                'from': 'aircraft',
                'time': 'known_at',
                'time_as': 'aircraft_known_at',
                'columns': ['manufacture_year', 'seat_count', 'engine_count', 'engine_type', 'manufacturer'],
            }],
        )
    }}
),

-- A previous leg of which nothing is known has not left: it is late by what has passed since its schedule.
with_projection as (
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
    from with_aircraft
),

with_holidays as (
    select
        flights.*,
        array_min(
            transform(holidays.dates, holiday -> abs(datediff(flights.flight_date, holiday)))
        ) as days_from_holiday
    from with_projection as flights
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
    concat(carrier_code, flight_number) as flight_code,
    schedule_known_at,
    sched_dep_hour,
    sched_dep_minute_of_day,
    weekday(flight_date) + 1 as day_of_week,
    days_from_holiday,
    distance_miles,
    planned_duration_minutes,
    planned_duration_minutes - usual_duration_minutes as planned_duration_excess_minutes,
    origin_planned_day,
    origin_planned_hour,
    carrier_planned_hour,
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
    {{ minutes_between('weather_known_at', 'predict_at') }} as weather_age_minutes,
    origin_departures_as_of,
    origin_departures_1h,
    origin_departures_3h,
    origin_late_15_share_1h,
    origin_late_15_share_3h,
    origin_late_30_share_3h,
    origin_clipped_delay_minutes_1h,
    origin_clipped_delay_minutes_3h,
    origin_waiting,
    origin_waiting_15,
    all_departures_1h,
    all_late_15_share_1h,
    all_late_15_share_3h,
    all_late_30_share_3h,
    all_clipped_delay_minutes_1h,
    all_waiting,
    all_waiting_15,
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
