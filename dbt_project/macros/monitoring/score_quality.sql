{#-
  Rows of scores and outcomes with what their quality is computed from, row by row and exactly: decimals and whole
  numbers, so that no sum depends on the order of adding. `score_measures` puts them together.

  Args:
    rows: a CTE with the columns prediction_id, score, and the label, which is NULL where it is not known.
    label: its name, a boolean.
    within: the columns of the group that is measured, such as the day and the model's version.
-#}
{% macro scores_to_measure(rows, label, within) -%}
  {%- set group = within | join(', ') -%}
    select
        *,
        cast(score as decimal(18, 12)) as exact_score,
        cast({{ label }} as int) as is_positive,
        -- Twice the mean rank of tied scores, among the labelled rows of the group: a whole number.
        2 * rank() over (
            partition by {{ group }}, {{ label }} is null
            order by score
        ) + count(*) over (
            partition by {{ group }}, {{ label }} is null, score
        ) - 1 as doubled_rank,
        -- Of the labelled rows with this score or a higher one, the share that is positive.
        cast(
            sum(cast({{ label }} as int)) over (
                partition by {{ group }}, {{ label }} is null
                order by score desc
            ) / count(*) over (
                partition by {{ group }}, {{ label }} is null
                order by score desc
            ) as decimal(18, 12)
        ) as exact_precision,
        ntile(10) over (
            partition by {{ group }}, {{ label }} is null
            order by score, prediction_id
        ) as score_bin,
        -- `greatest` leaves NULLs out: a row without a label must not get a loss.
        case
            when {{ label }} is not null
                then cast(round(-ln(greatest(if({{ label }}, score, 1 - score), 1e-9)), 9) as decimal(18, 9))
        end as exact_log_loss,
        cast(
            (score - cast({{ label }} as int)) * (score - cast({{ label }} as int)) as decimal(18, 12)
        ) as exact_squared_error
    from {{ rows }}
{%- endmacro %}

{#-
  The same rows with the gap between score and outcome in their tenth of the scores.

  Args:
    rows: a CTE of `scores_to_measure`.
    within: as there.
-#}
{% macro scores_in_tenths(rows, within) -%}
    select
        *,
        cast(
            abs(sum(is_positive) over tenth - sum(exact_score) over tenth) / count(*) over tenth as decimal(18, 12)
        ) as exact_gap
    from {{ rows }}
    window tenth as (partition by {{ within | join(', ') }}, is_positive is null, score_bin)
{%- endmacro %}

{#- How good the scores of a group are, as columns of a `group by` over `scores_in_tenths`. -#}
{% macro score_measures() -%}
    count(*) as scored_count,
    count(is_positive) as labelled_count,
    sum(is_positive) as positive_count,
    sum(if(is_positive = 1, doubled_rank, 0)) as positive_doubled_ranks,
    cast(avg(exact_score) filter (where is_positive is not null) as double) as mean_score,
    cast(avg(exact_precision) filter (where is_positive = 1) as double) as average_precision,
    cast(avg(exact_log_loss) as double) as log_loss,
    cast(avg(exact_squared_error) as double) as brier_score,
    cast(avg(exact_gap) filter (where is_positive is not null) as double) as calibration_error
{%- endmacro %}

{#-
  By rank sums: how often a positive row has a higher score than another one, ties counting half; NULL where all or none
  are positive. Of the columns of `score_measures`.
-#}
{% macro auc_of_ranks() -%}
    (positive_doubled_ranks - positive_count * (positive_count + 1))
    / nullif(2 * positive_count * (labelled_count - positive_count), 0)
{%- endmacro %}
