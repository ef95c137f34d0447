{#-
  What dbt-spark does to a Delta table after it was made, each column and constraint as a statement and a version of
  its own. Ours are made with the table (create_table.sql); here only comments that changed since follow, all in
  one statement, and none when none did.
-#}
{% macro spark__persist_constraints(relation, model) -%}{%- endmacro %}

{% macro spark__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set plan = day_plan() -%}
  {%- if plan -%}
    {#- The materialization asks this last: what it computed stands in dbt's line of the model. -#}
    {%- do store_raw_result('main', message=plan.summary, code=none, rows_affected=none) -%}
  {%- endif -%}
  {%- if for_columns and config.persist_column_docs() and model.columns
      and config.get('materialized') in ['table', 'incremental'] -%}
    {%- set changed = [] -%}
    {%- for column in columns_of(relation) -%}
      {%- if column.name in model.columns and column.comment != column_description(column.name) -%}
        {%- do changed.append(adapter.quote(column.name) ~ ' comment ' ~ sql_text(column_description(column.name))) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if changed -%}
      {%- do run_query('alter table ' ~ relation ~ ' alter column ' ~ changed | join(', ')) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
