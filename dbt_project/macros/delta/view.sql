{#-
  A view, with comments that hold any text. The metastore of an engine of ours keeps the SQL of a view in a column
  of 32,700 characters, and answers more of them with an error of its own after a minute of retries: a longer one is
  refused here, by name. A team with another metastore sets the variable `longest_view` to what that one takes.

  A view that is there as it would be made stays as it is: it costs no statement.
-#}
{% macro spark__create_view_as(relation, sql) -%}
  {%- set view_property = 'lakehouse.view' -%}
  {%- set limit = var('longest_view', 32700) | int -%}
  {%- if sql | length > limit -%}
    {%- do exceptions.raise_compiler_error(
        'the view ' ~ relation ~ ' has ' ~ sql | length ~ ' characters of SQL; the metastore takes ' ~ limit
        ~ '. Materialize it as a table, or move a part of it into a model of its own.') -%}
  {%- endif -%}
  {%- set existing = load_cached_relation(relation) -%}
  {%- set checksum = view_checksum(sql) -%}
  {%- if checksum and existing and existing.is_view and not should_full_refresh()
      and (view_property ~ '=' ~ checksum) in (existing.information or '') -%}
    {#- It is what it would become. -#}
    {%- do return('select 1') -%}
  {%- endif %}
  create or replace view {{ relation }}
  {%- if config.persist_column_docs() %}
  ({{ commented_columns(get_columns_in_query(sql)) }})
  {%- endif %}
  {{ comment_clause() }}
  {%- if checksum %}
  tblproperties ('{{ view_property }}' = '{{ checksum }}')
  {%- endif %}
  {%- if config.get('contract').enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %}
  as
  {{ sql }}
{%- endmacro %}

{#-
  What tells a view from another one: its SQL and texts, and the columns of the tables that it reads, as a view keeps
  those of its making. None where only a statement would tell these columns: then the view is made each time.
-#}
{% macro view_checksum(sql) -%}
  {%- if adapter.local_description is not defined or config.get('contract').enforced -%}
    {%- do return(none) -%}
  {%- endif -%}
  {#- The first is the form of the statement, to be counted up when it changes. -#}
  {%- set parts = [1, dbt_version, sql, model.description, config.persist_relation_docs(), config.persist_column_docs()] -%}
  {%- for column in model.columns.values() -%}
    {%- do parts.append([column.name, column.description, column.get('quote')]) -%}
  {%- endfor -%}
  {%- for id in model.depends_on.nodes | sort -%}
    {%- set node = graph.sources.get(id) or graph.nodes.get(id) -%}
    {%- set read = api.Relation.create(schema=node.schema, identifier=node.identifier or node.alias) -%}
    {%- set description = adapter.local_description(read) -%}
    {%- if description is none -%}
      {%- do return(none) -%}
    {%- endif -%}
    {%- for column in description.columns -%}
      {%- do parts.append([id, column.name, column.type]) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(local_md5(tojson(parts))) -%}
{%- endmacro %}
