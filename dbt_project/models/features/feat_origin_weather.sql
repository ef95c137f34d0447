{{
    config(
        event_date='known_date',
        until_frontier=false,
        inputs=[
            {
                'source': 'weather_observations',
                'as': 'stg_weather_observations',
                'day': local_date('observed_at + interval 75 minutes'),
                'time': 'observed_at',
                'lookback': 1,
            },
        ],
    )
}}

with

observations as (
    select * from {{ days_of('stg_weather_observations') }}
),

with_wind as (
    select
        *,
        round(-wind_speed_mph * sin(radians(wind_direction_degrees)), 3) as wind_east_mph,
        round(-wind_speed_mph * cos(radians(wind_direction_degrees)), 3) as wind_north_mph
    from observations
),

-- An hour of all origins is known at once. As decimals, so that the order of adding does not matter.
hours as (
    select
        observed_at,
        min(visibility_miles) as visibility_min,
        max(wind_speed_mph) as wind_speed_max,
        min(pressure_millibars) as pressure_min,
        max(wind_gust_mph) as wind_gust_max,
        sum(cast(precipitation_inches as decimal(10, 4))) as precipitation,
        avg(cast(temperature_f as decimal(10, 4))) as temperature,
        avg(cast(dew_point_f as decimal(10, 4))) as dew_point,
        avg(cast(humidity_percent as decimal(10, 4))) as humidity,
        avg(cast(visibility_miles as decimal(10, 4))) as visibility,
        avg(cast(wind_speed_mph as decimal(10, 4))) as wind_speed,
        avg(cast(wind_east_mph as decimal(10, 4))) as wind_east,
        avg(cast(wind_north_mph as decimal(10, 4))) as wind_north
    from with_wind
    group by observed_at
),

area as (
    select
        observed_at,
        visibility_min as all_visibility_min_miles,
        wind_speed_max as all_wind_speed_max_mph,
        pressure_min as all_pressure_min_millibars,
        round(cast(temperature as double), 3) as all_temperature_f,
        round(cast(dew_point as double), 3) as all_dew_point_f,
        min(visibility_min) over last_6h as all_visibility_min_6h_miles,
        max(wind_speed_max) over last_12h as all_wind_speed_max_12h_mph,
        max(wind_gust_max) over last_12h as all_wind_gust_max_12h_mph,
        cast(sum(precipitation) over last_12h as double) as all_precipitation_12h_inches,
        round(cast(avg(humidity) over last_12h as double), 3) as all_humidity_12h_percent,
        round(cast(avg(visibility) over last_12h as double), 3) as all_visibility_12h_miles,
        round(cast(avg(wind_speed) over last_12h as double), 3) as all_wind_speed_12h_mph,
        round(cast(avg(wind_east) over last_12h as double), 3) as all_wind_east_12h_mph,
        round(cast(avg(wind_north) over last_12h as double), 3) as all_wind_north_12h_mph,
        round(pressure_min - first_value(pressure_min) over twelve_hours_ago, 2)
            as all_pressure_change_12h_millibars,
        round(cast(dew_point - first_value(dew_point) over twelve_hours_ago as double), 3)
            as all_dew_point_change_12h_f
    from hours
    window
        last_6h as (
            order by observed_at range between interval 6 hours preceding and current row
        ),
        last_12h as (
            order by observed_at range between interval 11 hours preceding and current row
        ),
        twelve_hours_ago as (
            order by observed_at range between interval 12 hours preceding and interval 12 hours preceding
        )
),

with_trends as (
    select
        *,
        min(visibility_miles) over last_6h as visibility_min_6h_miles,
        -- As decimals, so that the order of adding does not matter.
        cast(sum(cast(precipitation_inches as decimal(10, 4))) over last_6h as double)
            as precipitation_6h_inches,
        pressure_millibars
        - first_value(pressure_millibars) over three_hours_ago as pressure_change_3h_millibars,
        temperature_f
        - first_value(temperature_f) over three_hours_ago as temperature_change_3h_f
    from with_wind
    window
        last_6h as (
            partition by origin_code order by observed_at
            range between interval 6 hours preceding and current row
        ),
        three_hours_ago as (
            partition by origin_code order by observed_at
            range between interval 3 hours preceding and interval 3 hours preceding
        )
)

select
    with_trends.origin_code,
    with_trends.known_at,
    with_trends.known_date,
    with_trends.observed_at,
    with_trends.temperature_f,
    with_trends.dew_point_f,
    with_trends.humidity_percent,
    with_trends.wind_direction_degrees,
    with_trends.wind_speed_mph,
    with_trends.wind_gust_mph,
    with_trends.precipitation_inches,
    with_trends.pressure_millibars,
    with_trends.visibility_miles,
    with_trends.wind_east_mph,
    with_trends.wind_north_mph,
    round(with_trends.temperature_change_3h_f, 2) as temperature_change_3h_f,
    round(with_trends.pressure_change_3h_millibars, 2) as pressure_change_3h_millibars,
    with_trends.precipitation_6h_inches,
    with_trends.visibility_min_6h_miles,
    area.all_visibility_min_miles,
    area.all_visibility_min_6h_miles,
    area.all_wind_speed_max_mph,
    area.all_temperature_f,
    area.all_dew_point_f,
    area.all_pressure_min_millibars,
    area.all_wind_speed_12h_mph,
    area.all_wind_speed_max_12h_mph,
    area.all_wind_gust_max_12h_mph,
    area.all_wind_east_12h_mph,
    area.all_wind_north_12h_mph,
    area.all_precipitation_12h_inches,
    area.all_humidity_12h_percent,
    area.all_visibility_12h_miles,
    area.all_pressure_change_12h_millibars,
    area.all_dew_point_change_12h_f
from with_trends
inner join area on with_trends.observed_at = area.observed_at
where {{ in_days('with_trends.known_date') }}
