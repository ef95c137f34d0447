{#-
  An input of an incremental model, as `from {{ days_of('int_flights') }}`: the rows of the days that this build computes,
  and of those before that they look back on, as the model's config says (`inputs`). All rows where all are computed.

  Args:
    input: the model's name; of a source that is read through its staging model, that one's.
    of_source: the source's name in dbt, where the input is read directly: days_of('arrival_delay', 'predictions')
    reads_back: for a macro with windows: days before its own that it reads; the config must say as many
-#}
{% macro days_of(input, of_source=none, reads_back=0) -%}
  {%- set relation = source(of_source, input) if of_source else ref(input) -%}
  {%- set condition = this_build().days_of(model, should_full_refresh(), input, reads_back) if plans_days() else 'true' -%}
  {%- if condition == 'true' -%}
    {{ relation }}
  {%- else -%}
    (select * from {{ relation }} where {{ condition }})
  {%- endif -%}
{%- endmacro %}

{#- The condition that a date is one of the days that this build computes. -#}
{% macro in_days(column) -%}
  {{- this_build().in_days(model, should_full_refresh(), column) if plans_days() else 'true' -}}
{%- endmacro %}

{#-
  A date as itself, or as the first of the days that this build computes where it lies before that: for what is summed
  up to each day, of which the days before the first need not be told apart.
-#}
{% macro within_asked_days(column) -%}
  {%- set first = this_build().first_day(model, should_full_refresh()) if plans_days() else none -%}
  {{- "greatest(" ~ column ~ ", date'" ~ first ~ "')" if first else column -}}
{%- endmacro %}

{#-
  The frontier of deliveries, as a timestamp: until when every live source has told everything, up to its first gap. A
  delivery until an instant holds what became known before it, not at it.
-#}
{% macro delivered_until() -%}
  {%- set ledger = source('bronze', 'deliveries') -%}
  {{- this_build().delivered_until() if execute and flags.WHICH not in ['parse', 'list'] else 'cast(null as timestamp)' -}}
{%- endmacro %}

{#- Whether what is compiled now is a model that is computed by days. -#}
{% macro plans_days() -%}
  {%- do return(
    execute and model is defined and model.resource_type == 'model'
    and model.config.materialized == 'incremental'
    and model.config.get('incremental_strategy') == 'replace_where' and flags.WHICH not in ['parse', 'list']
  ) -%}
{%- endmacro %}

{#-
  The rows that a data test looks at. `where: built_days` (dbt_project.yml) means every row, but in a run of the graph,
  which says so in the environment, those of the days that the table's last commit replaced: a day's tests then cost
  what the day holds. A key never spans two days, as each table is replaced by whole days.
-#}
{% macro get_where_subquery(relation) -%}
  {%- set where = config.get('where') -%}
  {%- if where == 'built_days' -%}
    {%- set where = none -%}
    {%- if execute and env_var('LAKEHOUSE_TEST_BUILT_DAYS', '') -%}
      {%- set where = this_build().days_built(relation.schema, relation.identifier) -%}
    {%- endif -%}
  {%- endif -%}
  {%- if not where or where == 'true' -%}
    {%- do return(relation) -%}
  {%- endif -%}
  {%- do return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery') -%}
{%- endmacro %}

{#-
  What a build would do, without doing it: `lakehouse plan` runs this and adds what Delta's logs say of files.

  Args:
    models: unique ids, each after those that it reads.
-#}
{% macro preview_build(models, full_refresh=false) -%}
  {%- do print(tojson(this_build().preview(models, full_refresh))) -%}
{%- endmacro %}
