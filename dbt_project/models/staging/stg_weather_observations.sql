with

deliveries as (
    select * from {{ accepted_rows('weather_observations') }}
),

observations as (
    select
        origin_code,
        observed_at,
        observed_at + interval 75 minutes as known_at,
        {{ local_date('observed_at + interval 75 minutes') }} as known_date,
        cast(temperature_f as double) as temperature_f,
        cast(dew_point_f as double) as dew_point_f,
        cast(humidity_percent as double) as humidity_percent,
        cast(wind_direction_degrees as double) as wind_direction_degrees,
        cast(wind_speed_mph as double) as wind_speed_mph,
        cast(wind_gust_mph as double) as wind_gust_mph,
        cast(precipitation_inches as double) as precipitation_inches,
        cast(pressure_millibars as double) as pressure_millibars,
        cast(visibility_miles as double) as visibility_miles,
        _batch_id
    from deliveries
),

last_delivered as (
    select
        *,
        row_number() over (
            partition by known_date, observed_at, origin_code
            order by
                _batch_id desc,
                temperature_f desc,
                dew_point_f desc,
                humidity_percent desc,
                wind_direction_degrees desc,
                wind_speed_mph desc,
                wind_gust_mph desc,
                precipitation_inches desc,
                pressure_millibars desc,
                visibility_miles desc
        ) as delivery_number
    from observations
)

select
    origin_code,
    observed_at,
    known_at,
    known_date,
    temperature_f,
    dew_point_f,
    humidity_percent,
    wind_direction_degrees,
    wind_speed_mph,
    wind_gust_mph,
    precipitation_inches,
    pressure_millibars,
    visibility_miles
from last_delivered
where delivery_number = 1
