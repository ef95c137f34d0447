{#-
  Makes the tables that models read but dbt does not build, empty, so that a first build works before the first
  score was made: the tables of the sources `predictions` and `monitoring`, as they are declared. One commit, once.
  Production's are made by production; elsewhere only where the variable `predictions_schema` names a schema of one's own.
-#}
{% macro ensure_tables() -%}
  {%- if execute -%}
    {%- for source in graph.sources.values() if source.source_name in ['predictions', 'monitoring'] -%}
      {%- set existing = adapter.get_relation(none, source.schema, source.identifier) -%}
      {%- if target.name == 'prod' or source.schema | lower not in production_schemas() -%}
        {%- if existing is none -%}
          {%- do create_declared_table(source) -%}
        {%- elif existing.is_table -%}
          {%- do add_declared_constraints(source, existing) -%}
        {%- endif -%}
      {%- elif existing is none -%}
        {%- do warn_of_missing_source(source) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{#- The empty table of a source: columns, comments and constraints as its YAML has them. -#}
{% macro create_declared_table(source) -%}
  {%- set table = api.Relation.create(schema=source.schema, identifier=source.identifier, type='table') -%}
  {%- set checks = declared_checks(source) -%}
  {%- set properties = {} -%}
  {%- for name, expression in checks.items() -%}
    {%- do properties.update({'delta.constraints.' ~ name: expression}) -%}
  {%- endfor -%}
  {%- do run_query('create schema if not exists ' ~ source.schema) -%}
  {%- call statement('create_' ~ source.name) -%}
    create table if not exists {{ table }} (
      {%- for column in source.columns.values() %}
      {{ quoted(column.name) }} {{ column.data_type }}
      {{- ' not null' if is_required(column) }} comment {{ sql_text(column.description | trim) }}{{ ',' if not loop.last }}
      {%- endfor %}
    )
    using delta
    cluster by ({{ quoted(source.config.meta.cluster_by) }})
    comment {{ sql_text(source.description | trim) }}
    tblproperties ({{ delta_properties(properties) }})
  {%- endcall -%}
  {#- dbt listed the schema before it had this table. -#}
  {%- do adapter.cache_added(table) -%}
{%- endmacro %}

{#-
  The constraints that a table of an earlier version of this project lacks. Delta makes no column of an existing table
  NOT NULL: a check says the same. Where rows break one, the table stays as it is, and a warning says how many.
-#}
{% macro add_declared_constraints(source, table) -%}
  {%- set there = properties_of(table) -%}
  {%- set checks = declared_checks(source) -%}
  {%- set lacking = [] -%}
  {%- for name in checks if 'delta.constraints.' ~ name not in there -%}
    {%- do lacking.append(name) -%}
  {%- endfor -%}
  {%- if lacking -%}
    {%- set columns = columns_of(table) | map(attribute='name') | list -%}
    {%- for column in source.columns.values() if is_required(column) and column.name in columns -%}
      {%- do checks.update({column.name ~ '_not_null': quoted(column.name) ~ ' is not null'}) -%}
    {%- endfor -%}
    {%- for name, expression in checks.items() if 'delta.constraints.' ~ name not in there -%}
      {%- set broken = run_query(
          'select count_if(not coalesce(' ~ expression ~ ', false)) as number from ' ~ table).rows[0].number -%}
      {%- if broken -%}
        {%- do exceptions.warn(
            table ~ ' has ' ~ broken ~ ' rows that break ' ~ name ~ ' (' ~ expression ~ '): the constraint is not added. '
            ~ 'Correct them, and the next build adds it.') -%}
      {%- else -%}
        {%- do run_query('alter table ' ~ table ~ ' add constraint ' ~ quoted(name) ~ ' check (' ~ expression ~ ')') -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{#- Name → condition of the check constraints of a source's columns. -#}
{% macro declared_checks(source) -%}
  {%- set checks = {} -%}
  {%- for column in source.columns.values() -%}
    {%- for constraint in column.constraints if constraint.type == 'check' -%}
      {%- do checks.update({constraint.name: constraint.expression}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(checks) -%}
{%- endmacro %}

{% macro is_required(column) -%}
  {%- do return('not_null' in column.constraints | map(attribute='type') | list) -%}
{%- endmacro %}

{#- Says what to do where models of this build read a table that only production makes. -#}
{% macro warn_of_missing_source(source) -%}
  {%- set readers = [] -%}
  {%- for node in graph.nodes.values()
      if node.unique_id in selected_resources and source.unique_id in node.depends_on.nodes -%}
    {%- do readers.append(node.name) -%}
  {%- endfor -%}
  {%- if readers -%}
    {%- do exceptions.warn(
        source.schema ~ '.' ~ source.identifier ~ ' does not exist yet: the first build of production makes it '
        ~ '(`dbt build --target prod`). Until then leave out what reads it: `--exclude source:'
        ~ source.source_name ~ '.' ~ source.name ~ '+`. Here that is ' ~ readers | sort | join(', ') ~ '.') -%}
  {%- endif -%}
{%- endmacro %}
