{{
    config(
        event_date='forecast_date',
        inputs=[
            {'model': 'rain_features'},
            {'source': 'observations', 'as': 'stg_observations', 'day': 'observed_on'},
        ],
    )
}}

with

features as (
    select * from {{ days_of('rain_features') }}
),

label_versions as (
    select
        station,
        observed_on,
        precipitation_mm > 0 as is_rainy,
        known_at as label_known_at,
        lead(known_at) over (partition by station, observed_on order by known_at) as label_superseded_at
    from {{ days_of('stg_observations') }}
)

select
    features.*,
    label_versions.is_rainy,
    label_versions.label_known_at,
    label_versions.label_superseded_at
from features
inner join label_versions
    on
        features.station = label_versions.station
        and features.forecast_date = label_versions.observed_on
