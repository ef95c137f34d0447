{{
    config(
        event_date='forecast_date',
        until_frontier=false,
        inputs=[
            {
                'source': 'observations',
                'as': 'stg_observations',
                'day': local_date('reported_at + interval 60 minutes'),
                'time': 'reported_at',
                'lookback': 6,
            },
        ],
    )
}}

with

observations as (
    select * from {{ days_of('stg_observations') }}
),

-- As reported by the morning after: what a correction says later was not known then.
reports as (
    select
        *,
        row_number() over (partition by station, observed_on order by known_at desc) as report_number
    from observations
    where known_date = date_add(observed_on, 1)
),

last_reports as (
    select * from reports
    where report_number = 1
),

-- Decimals, so that the order of adding does not matter.
with_week as (
    select
        *,
        sum(cast(precipitation_mm as decimal(10, 1))) over week_to_yesterday as precipitation_7d,
        count_if(precipitation_mm > 0) over week_to_yesterday as rainy_days_7d,
        max(temperature_max_c) over day_before as temperature_max_before_c
    from last_reports
    window
        week_to_yesterday as (
            partition by station order by unix_date(observed_on) range between 6 preceding and current row
        ),
        day_before as (
            partition by station order by unix_date(observed_on) range between 1 preceding and 1 preceding
        )
)

select
    concat(with_week.station, '-', date_format(with_week.known_date, 'yyyyMMdd')) as forecast_id,
    with_week.known_date as forecast_date,
    with_week.station,
    {{ start_of_day('with_week.known_date') }} + interval 6 hours as predict_at,
    with_week.observed_on,
    with_week.known_at as weather_known_at,
    month(with_week.known_date) as month_of_year,
    with_week.precipitation_mm as precipitation_1d_mm,
    cast(with_week.precipitation_7d as double) as precipitation_7d_mm,
    with_week.rainy_days_7d,
    with_week.temperature_max_c,
    with_week.temperature_min_c,
    round(with_week.temperature_max_c - with_week.temperature_max_before_c, 1) as temperature_change_c,
    with_week.wind_mps
from with_week
where {{ in_days('with_week.known_date') }}
