{#-
  How far the features of each scored day, and the scores, lie from what the model that scored them was trained on: for
  each feature the population stability index over the bins that were kept with the model version (monitoring.reference),
  and the shares of missing and unseen values. Nothing of other days is read: what an index of this size is worth, the
  days before tell (docs/monitoring.md).

  The index adds half a row to each bin, so that an empty one does not make it infinite; ml/monitoring/reference.py
  computes the same for the days of the training set.

  Args:
    features: the model that scores are made from; its columns with the role numeric or categorical are looked at.
    predictions: the table of scores, in dbt's source `predictions`.
    entity, day: the columns that name a row, and its day.
-#}
{% macro feature_drift(features, predictions, entity, day) -%}
with

scores as (
    select
        {{ entity }},
        {{ day }},
        model_name,
        model_version,
        -- The last one stands, where a correction made another.
        max_by(score, struct(scored_at, prediction_id)) as score
    from {{ days_of(predictions, 'predictions') }}
    group by {{ entity }}, {{ day }}, model_name, model_version
),

scored_days as (
    select distinct
        {{ day }},
        model_name,
        model_version
    from scores
),

features as (
    select * from {{ days_of(features) }}
    where {{ day }} in (select scored_days.{{ day }} from scored_days)
),

-- As numbers of four bytes, which the model reads. A feature of the weather has few values: they are counted first.
feature_values as (
    select
        {{ day }},
        unpivoted.feature,
        unpivoted.number,
        unpivoted.category,
        count(*) as row_count
    from features
    lateral view stack(
        {{ unpivoted_features(features) }}
    ) unpivoted as feature, number, category
    group by {{ day }}, unpivoted.feature, unpivoted.number, unpivoted.category
),

model_values as (
    select
        scored_days.{{ day }},
        scored_days.model_name,
        scored_days.model_version,
        feature_values.feature,
        feature_values.number,
        feature_values.category,
        feature_values.row_count
    from scored_days
    inner join feature_values on scored_days.{{ day }} = feature_values.{{ day }}
    union all
    select
        {{ day }},
        model_name,
        model_version,
        '(score)' as feature,
        cast(score as float) as number,
        cast(null as string) as category,
        count(*) as row_count
    from scores
    group by {{ day }}, model_name, model_version, score
),

reference as (
    select
        *,
        sum(row_count) over (partition by model_name, model_version, feature) as row_total,
        count(*) over (partition by model_name, model_version, feature) as bin_count
    from {{ source('monitoring', 'reference') }}
    where model_version in (select scored_days.model_version from scored_days)
),

bounds as (
    select
        model_name,
        model_version,
        feature,
        min(kind) as kind,
        array_sort(collect_list(bin_from)) as bounds
    from reference
    group by model_name, model_version, feature
),

binned as (
    select
        model_values.{{ day }},
        model_values.model_name,
        model_values.model_version,
        model_values.feature,
        case
            when bounds.kind = 'categorical'
                then coalesce(reference.bin, if(model_values.category is null, 0, 1))
            when model_values.number is null or isnan(model_values.number) then 0
            else 1 + size(filter(bounds.bounds, bound -> bound <= model_values.number))
        end as bin,
        model_values.row_count
    from model_values
    inner join bounds
        on model_values.model_name = bounds.model_name
        and model_values.model_version = bounds.model_version
        and model_values.feature = bounds.feature
    left join reference
        on model_values.model_name = reference.model_name
        and model_values.model_version = reference.model_version
        and model_values.feature = reference.feature
        and model_values.category = reference.category
),

day_bins as (
    select
        {{ day }},
        model_name,
        model_version,
        feature,
        bin,
        sum(row_count) as row_count
    from binned
    group by {{ day }}, model_name, model_version, feature, bin
),

-- Also the bins that have no row on the day.
counted as (
    select
        days.{{ day }},
        reference.model_name,
        reference.model_version,
        reference.feature,
        reference.kind,
        reference.bin,
        reference.is_unseen,
        reference.row_count as reference_count,
        reference.row_total as reference_total,
        reference.bin_count,
        coalesce(day_bins.row_count, 0) as row_count,
        sum(coalesce(day_bins.row_count, 0)) over (
            partition by days.{{ day }}, reference.model_name, reference.model_version, reference.feature
        ) as row_total
    from (select distinct {{ day }}, model_name, model_version, feature from day_bins) as days
    inner join reference
        on days.model_name = reference.model_name
        and days.model_version = reference.model_version
        and days.feature = reference.feature
    left join day_bins
        on days.{{ day }} = day_bins.{{ day }}
        and reference.model_name = day_bins.model_name
        and reference.model_version = day_bins.model_version
        and reference.feature = day_bins.feature
        and reference.bin = day_bins.bin
),

shares as (
    select
        *,
        (row_count + 0.5d) / (row_total + 0.5d * bin_count) as share,
        (reference_count + 0.5d) / (reference_total + 0.5d * bin_count) as reference_share
    from counted
),

-- As decimals: their sum does not depend on the order of adding.
terms as (
    select
        *,
        cast(round((share - reference_share) * ln(share / reference_share), 12) as decimal(18, 12)) as exact_term
    from shares
)

select
    {{ day }},
    model_name,
    model_version,
    feature,
    kind,
    sum(row_count) as row_count,
    cast(sum(exact_term) as double) as stability_index,
    sum(if(bin = 0, row_count, 0)) / sum(row_count) as missing_share,
    sum(if(is_unseen, row_count, 0)) / sum(row_count) as unseen_share,
    sum(if(bin = 0, reference_count, 0)) / sum(reference_count) as reference_missing_share,
    sum(if(is_unseen, reference_count, 0)) / sum(reference_count) as reference_unseen_share
from terms
group by {{ day }}, model_name, model_version, feature, kind
{%- endmacro %}

{#-
  The arguments of `stack` that make a row of each feature of a model: its name, and its value as a number or as a text.
-#}
{% macro unpivoted_features(model_name) -%}
  {%- set rows = [] -%}
  {%- if execute -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model_name -%}
      {%- for column in node.columns.values() -%}
        {%- set role = column.meta.get('role') -%}
        {%- set name = adapter.quote(column.name) -%}
        {%- if role == 'numeric' -%}
          {%- do rows.append(
              sql_text(column.name) ~ ', cast(cast(' ~ name ~ ' as double) as float), cast(null as string)') -%}
        {%- elif role == 'categorical' -%}
          {%- do rows.append(sql_text(column.name) ~ ', cast(null as float), cast(' ~ name ~ ' as string)') -%}
        {%- endif -%}
      {%- endfor -%}
    {%- endfor -%}
    {%- if not rows -%}
      {%- do exceptions.raise_compiler_error(
          'feature_drift: no column of ' ~ model_name ~ ' has the role numeric or categorical') -%}
    {%- endif -%}
  {%- endif -%}
  {{- rows | length }},
        {{ rows | join(',\n        ') }}
{%- endmacro %}
