{#-
  What dbt-spark does to a Delta table after it was made, each column and constraint as a statement and a version of
  its own. Ours are made with the table (create_table.sql); here only comments that changed since follow: those of
  all columns in one statement, that of the table in another, and none when none did.
-#}
{% macro spark__persist_constraints(relation, model) -%}
  {%- if config.get('file_format', 'delta') != 'delta' -%}
    {{ dbt.spark__persist_constraints(relation, model) }}
  {%- endif -%}
{%- endmacro %}

{% macro spark__persist_docs(relation, model, for_relation, for_columns) -%}
  {%- set plan = day_plan() -%}
  {%- if plan -%}
    {#- The materialization asks this last: what it computed stands in dbt's line of the model. -#}
    {%- do store_raw_result('main', message=plan.summary, code=none, rows_affected=none) -%}
  {%- endif -%}
  {%- set columns = for_columns and config.persist_column_docs() and model.columns -%}
  {%- set itself = for_relation and config.persist_relation_docs() -%}
  {%- if config.get('materialized') in ['table', 'incremental', 'snapshot'] and (columns or itself) -%}
    {%- set told = description_of(relation) -%}
    {%- if columns -%}
      {%- do validate_doc_columns(relation, model.columns, told.columns | map(attribute='name') | list) -%}
      {%- set changed = [] -%}
      {%- for column in told.columns if column.comment != column_description(column.name) -%}
        {%- do changed.append(quoted(column.name) ~ ' comment ' ~ sql_text(column_description(column.name))) -%}
      {%- endfor -%}
      {%- if changed -%}
        {%- do run_query('alter table ' ~ relation ~ ' alter column ' ~ changed | join(', ')) -%}
      {%- endif -%}
    {%- endif -%}
    {%- if itself and told.comment != model.description | trim -%}
      {%- do run_query('comment on table ' ~ relation ~ ' is ' ~ sql_text(model.description | trim)) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
