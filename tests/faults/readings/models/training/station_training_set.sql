{{
    config(
        event_date='as_of_date',
        inputs=[
            {'model': 'feat_station_totals'},
            {'model': 'int_readings', 'day': 'measured_date', 'staged': 'stg_readings'},
        ],
    )
}}

with

totals as (
    select * from {{ days_of('feat_station_totals') }}
),

-- The last report of a reading stands.
amounts as (
    select
        station,
        measured_at,
        measured_date,
        max_by(amount, known_at) as amount
    from {{ days_of('int_readings') }}
    group by station, measured_at, measured_date
),

labels as (
    select
        station,
        measured_date,
        cast(sum(amount) as bigint) as label
    from amounts
    group by station, measured_date
)

select
    totals.station,
    totals.as_of_date,
    totals.total_3d,
    totals.readings_3d,
    labels.label
from totals
inner join labels on totals.station = labels.station and totals.as_of_date = labels.measured_date
