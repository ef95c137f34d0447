{#-
  A view, with comments that hold any text. The metastore of an engine of ours keeps the SQL of a view in a column
  of 32,700 characters, and answers more of them with an error of its own after a minute of retries: a longer one is
  refused here, by name. A team with another metastore sets the variable `longest_view` to what that one takes.
-#}
{% macro spark__create_view_as(relation, sql) -%}
  {%- set limit = var('longest_view', 32700) | int -%}
  {%- if sql | length > limit -%}
    {%- do exceptions.raise_compiler_error(
        'the view ' ~ relation ~ ' has ' ~ sql | length ~ ' characters of SQL; the metastore takes ' ~ limit
        ~ '. Materialize it as a table, or move a part of it into a model of its own.') -%}
  {%- endif -%}
  create or replace view {{ relation }}
  {%- if config.persist_column_docs() %}
  ({{ commented_columns(get_columns_in_query(sql)) }})
  {%- endif %}
  {{ comment_clause() }}
  {%- if config.get('contract').enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %}
  as
  {{ sql }}
{%- endmacro %}
