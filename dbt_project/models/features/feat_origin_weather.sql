{{
    config(
        day='known_date',
        until_watermark=false,
        reached_by=[
            {
                'source': 'weather_observations',
                'day': local_date('observed_at + interval 75 minutes'),
                'after': 1,
            },
        ],
    )
}}

with

observations as (
    select * from {{ ref('stg_weather_observations') }}
    where
        {{ in_days('known_date', before=1) }}
        -- The same days again, on a column that bronze's files are skipped by.
        and {{ in_days_of('observed_at', before=2) }}
),

-- An hour of all origins is known at once.
hours as (
    select
        observed_at,
        min(visibility_miles) as all_visibility_min_miles,
        max(wind_speed_mph) as all_wind_speed_max_mph
    from observations
    group by observed_at
),

with_trends as (
    select
        observations.*,
        hours.all_visibility_min_miles,
        hours.all_wind_speed_max_mph,
        min(observations.visibility_miles) over last_6h as visibility_min_6h_miles,
        min(hours.all_visibility_min_miles) over last_6h as all_visibility_min_6h_miles,
        -- As decimals, so that the order of adding does not matter.
        cast(sum(cast(observations.precipitation_inches as decimal(10, 4))) over last_6h as double)
            as precipitation_6h_inches,
        observations.pressure_millibars
        - first_value(observations.pressure_millibars) over three_hours_ago as pressure_change_3h_millibars,
        observations.temperature_f
        - first_value(observations.temperature_f) over three_hours_ago as temperature_change_3h_f
    from observations
    inner join hours on observations.observed_at = hours.observed_at
    window
        last_6h as (
            partition by observations.origin_code order by observations.observed_at
            range between interval 6 hours preceding and current row
        ),
        three_hours_ago as (
            partition by observations.origin_code order by observations.observed_at
            range between interval 3 hours preceding and interval 3 hours preceding
        )
)

select
    origin_code,
    known_at,
    known_date,
    observed_at,
    temperature_f,
    dew_point_f,
    humidity_percent,
    wind_direction_degrees,
    wind_speed_mph,
    wind_gust_mph,
    precipitation_inches,
    pressure_millibars,
    visibility_miles,
    round(-wind_speed_mph * sin(radians(wind_direction_degrees)), 3) as wind_east_mph,
    round(-wind_speed_mph * cos(radians(wind_direction_degrees)), 3) as wind_north_mph,
    round(temperature_change_3h_f, 2) as temperature_change_3h_f,
    round(pressure_change_3h_millibars, 2) as pressure_change_3h_millibars,
    precipitation_6h_inches,
    visibility_min_6h_miles,
    all_visibility_min_miles,
    all_visibility_min_6h_miles,
    all_wind_speed_max_mph
from with_trends
where {{ in_days('known_date') }}
