{#-
  The incremental strategy of the tables here: whole days are computed and put in the place of what stood there, in one
  statement for all days. Rows outside the days are refused by Delta before the commit. Where no day is reached, nothing
  is committed; where everything may have changed, all rows are replaced and the table stays the one that it was, with
  its id. Only --full-refresh, and a first build, recreate it.

  The materialization is dbt-spark's own, which asks these by name; its other strategies are as they were.
-#}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) -%}
  {%- if raw_strategy == 'replace_where' -%}
    {%- if file_format != 'delta' -%}
      {%- do exceptions.raise_compiler_error(
          'incremental_strategy replace_where needs file_format delta, not ' ~ file_format) -%}
    {%- endif -%}
    {%- do return(raw_strategy) -%}
  {%- endif -%}
  {%- do return(dbt.dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format)) -%}
{%- endmacro %}

{% macro dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) -%}
  {%- if strategy != 'replace_where' -%}
    {%- do return(dbt.dbt_spark_get_incremental_sql(
        strategy, source, target, existing, unique_key, incremental_predicates)) -%}
  {%- endif -%}
  {%- set plan = day_plan() -%}
  {#- The rows have the columns of the table by now, and those of the table cost no statement. -#}
  {%- do check_contract(columns_of(target)) -%}
  {%- do check_sql_unchanged(target, plan) -%}
  {%- if plan.is_idle -%}
    select 1
  {%- else -%}
    {%- set names = [] -%}
    {%- for column in columns_of(target) -%}
      {%- do names.append(adapter.quote(column.name)) -%}
    {%- endfor -%}
    insert into {{ target }}
    with ('userMetadata' = {{ sql_text(plan.note) }})
    replace where {{ plan.condition }}
    select {{ names | join(', ') }} from {% if plan.columns_known and not flags.EMPTY -%}
    (
    {{ model.compiled_code }}
    )
    {%- else -%}
    {{ source }}
    {%- endif %}
  {%- endif -%}
{%- endmacro %}

{#- What this build computes of the model that is built now; none for another strategy. -#}
{% macro day_plan() -%}
  {%- do return(this_build().plan(model, should_full_refresh()) if plans_days() else none) -%}
{%- endmacro %}

{#-
  Says that a table's rows were made by other SQL than the model's: those of other days stay what they are, until all are
  made again. var('on_changed_sql') decides: warn, or fail; on prod it fails if nothing is said.
-#}
{% macro check_sql_unchanged(relation, plan) -%}
  {%- if plan.sql_changed -%}
    {%- set message = relation ~ ': its SQL, or a macro, seed or row rule in it, changed since its rows were made. '
        ~ 'Build all of it: dbt build --full-refresh --select ' ~ model.name ~ '+' -%}
    {%- if (var('on_changed_sql') or ('fail' if target.name == 'prod' else 'warn')) == 'fail' -%}
      {%- do exceptions.raise_compiler_error(message) -%}
    {%- endif -%}
    {%- do exceptions.warn(message) -%}
  {%- endif -%}
{%- endmacro %}
