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

with

predictions as (
    select
        *,
        -- Scores as decimals: their sums do not depend on the order of adding.
        cast(score as decimal(18, 12)) as exact_score,
        cast(is_late_15 as int) as is_late,
        -- Twice the mean rank of tied scores, among the labelled flights of the day: a whole number.
        2 * rank() over (
            partition by model_name, model_version, flight_date, is_late_15 is null
            order by score
        ) + count(*) over (
            partition by model_name, model_version, flight_date, is_late_15 is null, score
        ) - 1 as doubled_rank
    from {{ days_of('fct_flight_predictions') }}
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
        predictions.*,
        days.flight_count,
        days.base_rate
    from predictions
    left join days on predictions.flight_date = days.flight_date
),

with_losses as (
    select
        *,
        cast(round(-ln(greatest(if(is_late = 1, score, 1 - score), 1e-9)), 9) as decimal(18, 9))
            as exact_log_loss,
        cast((score - is_late) * (score - is_late) as decimal(18, 12)) as exact_squared_error,
        cast(round(-ln(greatest(if(is_late = 1, base_rate, 1 - base_rate), 1e-9)), 9) as decimal(18, 9))
            as exact_base_log_loss,
        cast((base_rate - is_late) * (base_rate - is_late) as decimal(18, 12)) as exact_base_squared_error
    from with_base_rate
),

by_day as (
    select
        model_name,
        model_version,
        flight_date,
        max(flight_count) as flight_count,
        count(*) as scored_count,
        count(is_late) as labelled_count,
        sum(is_late) as late_count,
        sum(if(is_late = 1, doubled_rank, 0)) as late_doubled_ranks,
        cast(avg(exact_score) filter (where is_late is not null) as double) as mean_score,
        cast(avg(exact_log_loss) as double) as log_loss,
        cast(avg(exact_squared_error) as double) as brier_score,
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
    late_count,
    late_count / nullif(labelled_count, 0) as late_share,
    mean_score,
    -- By rank sums: how often a late flight has a higher score than one that is not, ties counting half.
    (late_doubled_ranks - late_count * (late_count + 1))
    / nullif(2 * late_count * (labelled_count - late_count), 0) as auc,
    log_loss,
    brier_score,
    base_rate,
    base_log_loss,
    base_brier_score
from by_day
