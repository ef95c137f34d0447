{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'fct_flight_predictions'},
            {'model': 'flight_features'},
        ],
    )
}}
{%- set within = ['model_name', 'model_version', 'flight_date', 'segment', 'segment_value'] %}

with

predictions as (
    select * from {{ days_of('fct_flight_predictions') }}
),

segments as (
    select
        flight_id,
        unpivoted.segment,
        unpivoted.segment_value
    from {{ days_of('flight_features') }}
        lateral view
        stack(
            3,
            'carrier_code', carrier_code,
            'origin_code', origin_code,
            'sched_dep_hour', lpad(cast(sched_dep_hour as string), 2, '0')
        ) unpivoted as segment, segment_value
),

in_segments as (
    select
        predictions.*,
        segments.segment,
        coalesce(segments.segment_value, 'unknown') as segment_value
    from predictions
    inner join segments on predictions.flight_id = segments.flight_id
),

to_measure as (
    {{ scores_to_measure('in_segments', 'is_late_15', within) }}
),

measured as (
    {{ scores_in_tenths('to_measure', within) }}
),

by_segment as (
    select
        flight_date,
        model_name,
        model_version,
        segment,
        segment_value,
        {{ score_measures() }}
    from measured
    group by flight_date, model_name, model_version, segment, segment_value
)

select
    flight_date,
    model_name,
    model_version,
    segment,
    segment_value,
    scored_count,
    labelled_count,
    positive_count as late_count,
    mean_score,
    {{ auc_of_ranks() }} as auc,
    average_precision,
    log_loss,
    brier_score,
    calibration_error
from by_segment
