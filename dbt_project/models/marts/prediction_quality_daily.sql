{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'fct_flight_predictions'},
            {'model': 'int_flight_events', 'day': 'flight_date', 'lookback': 28, 'staged': 'stg_flight_events'},
            {'model': 'int_flights', 'lookback': 28},
        ],
    )
}}
{%- set within = ['model_name', 'model_version', 'flight_date'] %}

with

predictions as (
    select * from {{ days_of('fct_flight_predictions') }}
),

to_measure as (
    {{ scores_to_measure('predictions', 'is_late_15', within) }}
),

measured as (
    {{ scores_in_tenths('to_measure', within) }}
),

flights as (
    select
        flight_date,
        count(*) as flight_count
    from {{ days_of('int_flights') }}
    group by flight_date
),

arrivals as (
    select
        flight_id,
        flight_date,
        cast(max_by(delay_minutes, known_at) >= 15 as int) as is_late
    from {{ days_of('int_flight_events') }}
    where event_type = 'arrived'
    group by flight_id, flight_date
),

arrivals_by_day as (
    select
        flight_date,
        count(*) as arrival_count,
        sum(is_late) as late_count
    from arrivals
    group by flight_date
),

-- The share of late flights over the four weeks before: what a forecast without a model would say.
days as (
    select
        flights.flight_date,
        flights.flight_count,
        sum(arrivals_by_day.late_count) over four_weeks_before
        / nullif(sum(arrivals_by_day.arrival_count) over four_weeks_before, 0) as base_rate
    from flights
    left join arrivals_by_day on flights.flight_date = arrivals_by_day.flight_date
    window four_weeks_before as (
        order by unix_date(flights.flight_date) range between 28 preceding and 1 preceding
    )
),

with_base_rate as (
    select
        measured.*,
        days.flight_count,
        days.base_rate
    from measured
    left join days on measured.flight_date = days.flight_date
),

with_losses as (
    select
        *,
        case
            when is_positive is not null and base_rate is not null
                then cast(
                    round(-ln(greatest(if(is_positive = 1, base_rate, 1 - base_rate), 1e-9)), 9)
                    as decimal(18, 9)
                )
        end as exact_base_log_loss,
        cast((base_rate - is_positive) * (base_rate - is_positive) as decimal(18, 12))
            as exact_base_squared_error
    from with_base_rate
),

by_day as (
    select
        model_name,
        model_version,
        flight_date,
        max(flight_count) as flight_count,
        {{ score_measures() }},
        max(base_rate) as base_rate,
        cast(avg(exact_base_log_loss) as double) as base_log_loss,
        cast(avg(exact_base_squared_error) as double) as base_brier_score
    from with_losses
    group by model_name, model_version, flight_date
)

select
    flight_date,
    model_name,
    model_version,
    flight_count,
    scored_count,
    labelled_count,
    positive_count as late_count,
    positive_count / nullif(labelled_count, 0) as late_share,
    mean_score,
    {{ auc_of_ranks() }} as auc,
    average_precision,
    log_loss,
    brier_score,
    calibration_error,
    base_rate,
    base_log_loss,
    base_brier_score
from by_day
