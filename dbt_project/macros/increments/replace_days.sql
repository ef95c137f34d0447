{#-
  The strategy of every incremental table here: compute whole days and put them in the place of what stood there, in
  one statement for all days. Rows outside the days are refused by Delta before the commit. Where plan_days finds no
  day, nothing is committed; where it finds that everything may have changed, all rows are replaced and the table stays
  the one that it was, with its id. Only --full-refresh, and a first build, make it anew. Other strategies are
  dbt-spark's own.
-#}
{% materialization incremental, adapter='spark', supported_languages=['sql', 'python'] %}
  {%- if config.get('incremental_strategy') != 'replace_days' -%}
    {{ return(dbt.materialization_incremental_spark()) }}
  {%- endif -%}

  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing = load_relation(this) -%}
  {%- if existing is not none and (existing.is_view or not existing.is_delta) -%}
    {%- do adapter.drop_relation(existing) -%}
    {%- set existing = none -%}
  {%- endif -%}

  {{ run_hooks(pre_hooks) }}

  {%- set plan = plan_days(target_relation, existing, config, should_full_refresh()) -%}
  {%- do log(this ~ ': ' ~ plan.note) -%}
  {%- if existing is none or should_full_refresh() -%}
    {%- set columns = prepare_columns(target_relation, compiled_code) -%}
    {%- call statement('main') -%}
      {{ create_delta_table(target_relation, columns, plan.note) }}
    {%- endcall -%}
  {%- elif plan.everything or plan.ranges -%}
    {%- set sql = compiled_code if plan.everything else fill_days(compiled_code, plan.ranges) -%}
    {%- do require_same_columns(target_relation, prepare_columns(target_relation, sql)) -%}
    {%- call statement('main') -%}
      insert into {{ target_relation }}
      with ('userMetadata' = {{ sql_text(plan.note) }})
      replace where {{ 'true' if plan.everything else ranges_condition(config.require('day'), plan.ranges) }}
      select {{ columns_of(target_relation) | map(attribute='name') | join(', ') }} from {{ new_rows(target_relation) }}
    {%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
  {%- else -%}
    {%- if flags.EMPTY -%}
      {%- do require_same_columns(target_relation, prepare_columns(target_relation, compiled_code)) -%}
    {%- endif -%}
    {%- call noop_statement('main', 'no new day') -%}select 1{%- endcall -%}
    {%- do persist_docs(target_relation, model) -%}
  {%- endif -%}

  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- Refuses rows whose columns are not the table's, by name and type, or adapts the table as on_schema_change says. -#}
{% macro require_same_columns(relation, columns) -%}
  {%- set choice = config.get('on_schema_change', 'fail') -%}
  {%- if choice in ['append_new_columns', 'sync_all_columns'] -%}
    {%- set new = api.Relation.create(identifier=relation.identifier ~ '__new') -%}
    {%- do process_schema_changes(choice, new, load_relation(this)) -%}
  {%- else -%}
    {%- set old_columns = [] -%}
    {%- for column in columns_of(relation) -%}
      {%- do old_columns.append(column.name ~ ' ' ~ column.type) -%}
    {%- endfor -%}
    {%- set new_columns = [] -%}
    {%- for column in columns -%}
      {%- do new_columns.append(column.name ~ ' ' ~ column.type) -%}
    {%- endfor -%}
    {%- if old_columns | sort != new_columns | sort -%}
      {%- do exceptions.raise_compiler_error(
          relation ~ ': the model makes other columns than the table has. Only in the model: '
          ~ (new_columns | reject('in', old_columns) | join(', ') or 'none') ~ '. Only in the table: '
          ~ (old_columns | reject('in', new_columns) | join(', ') or 'none')
          ~ '. Build it once with --full-refresh, and then what reads it.') -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
