{{
    config(
        day='known_date',
        cluster_by=['known_date'],
        reached_by=[
            {'source': 'weather_observations', 'day': local_date('observed_at + interval 75 minutes')},
        ],
    )
}}

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
    visibility_miles
from {{ ref('stg_weather_observations') }}
where
    {{ in_days('known_date') }}
    -- The same days again, on a column that bronze's files are skipped by.
    and {{ in_days_of('observed_at', before=1) }}
