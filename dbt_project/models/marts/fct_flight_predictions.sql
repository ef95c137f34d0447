{{
    config(
        event_date='flight_date',
        inputs=[
            {
                'source': 'arrival_delay',
                'schema': 'predictions',
                'day': 'flight_date',
            },
            {'model': 'int_flight_events', 'day': 'flight_date', 'staged': 'stg_flight_events'},
        ],
    )
}}

with

predictions as (
    select * from {{ days_of('arrival_delay', 'predictions') }}
),

outcomes as (
    {{ reported_outcomes() }}
),

-- The last report stands, also where it takes an arrival back.
last_outcomes as (
    select
        flight_id,
        max(known_at) as outcome_known_at,
        max_by(arr_delay_minutes, known_at) as arr_delay_minutes
    from outcomes
    group by flight_id
)

select
    predictions.prediction_id,
    predictions.flight_id,
    predictions.flight_date,
    predictions.predict_at,
    predictions.model_name,
    predictions.model_version,
    predictions.score,
    predictions.scored_at,
    case
        when last_outcomes.arr_delay_minutes is not null then 'arrived'
        when last_outcomes.outcome_known_at is not null then 'cancelled'
        else 'not reported'
    end as outcome,
    last_outcomes.arr_delay_minutes,
    last_outcomes.arr_delay_minutes >= 15 as is_late_15,
    last_outcomes.outcome_known_at
from predictions
left join last_outcomes on predictions.flight_id = last_outcomes.flight_id
