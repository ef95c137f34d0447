{#-
  Everything that a Delta table needs stands in the one statement that makes it: a replace resets what it does
  not name, and each statement after it would be another version. dbt-spark's own macro knows no clustering,
  no constraints and no column comments.

  Column comments travel through a temporary view: `create table … as select` takes none, but keeps those of the
  columns it selects.
-#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
  {%- if temporary -%}
    {{ create_temporary_view(relation, compiled_code) }}
  {%- else -%}
    {%- set columns = prepare_columns(relation, compiled_code) -%}
    {{ create_delta_table(relation, columns) }}
  {%- endif -%}
{%- endmacro %}

{#-
  Makes the temporary view `<model>__new` of the model's rows, and checks it against the model's contract.
  Returns its columns: {name, type, comment}.
-#}
{% macro prepare_columns(relation, compiled_code) -%}
  {%- do run_query('create or replace temporary view ' ~ new_rows(relation) ~ ' as\n' ~ compiled_code) -%}
  {%- set columns = columns_of(new_rows(relation)) -%}
  {%- if config.get('contract').enforced -%}
    {%- set declared = [] -%}
    {%- for column in model.columns.values() -%}
      {%- do declared.append(contract_entry(column.name, column.data_type)) -%}
    {%- endfor -%}
    {%- set found = [] -%}
    {%- for column in columns -%}
      {%- do found.append(contract_entry(column.name, column.type)) -%}
    {%- endfor -%}
    {%- if declared | map(attribute='formatted') | sort | list != found | map(attribute='formatted') | sort | list -%}
      {%- do exceptions.raise_contract_error(declared, found) -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(columns) -%}
{%- endmacro %}

{% macro contract_entry(name, data_type) -%}
  {%- do return({
    'name': name | lower,
    'data_type': data_type | lower,
    'formatted': name | lower ~ ' ' ~ data_type | lower,
  }) -%}
{%- endmacro %}

{#- The columns of a table or view, in order: {name, type, comment}. -#}
{% macro columns_of(relation) -%}
  {%- set columns = [] -%}
  {%- for row in run_query('describe ' ~ relation).rows -%}
    {#- What follows the columns (clustering, partitions) starts with an empty row or a heading. -#}
    {%- if not row.col_name or row.col_name.startswith('#') -%}
      {%- do return(columns) -%}
    {%- endif -%}
    {%- do columns.append({'name': row.col_name, 'type': row.data_type, 'comment': row.comment or ''}) -%}
  {%- endfor -%}
  {%- do return(columns) -%}
{%- endmacro %}

{#- The temporary view of a model's new rows. -#}
{% macro new_rows(relation) -%}
  {%- do return('`' ~ relation.identifier ~ '__new`') -%}
{%- endmacro %}

{#-
  The statement that makes the table from its view of new rows.

  Args:
    columns: the view's columns, from prepare_columns.
    commit_note: text stored with the Delta commit (its userMetadata).
-#}
{% macro create_delta_table(relation, columns, commit_note=none) -%}
  {%- set day = config.get('day') -%}
  {%- set cluster_by = config.get('cluster_by', [day] if day else []) -%}
  {%- set commented = '`' ~ relation.identifier ~ '__commented`' -%}
  {%- set names = columns | map(attribute='name') | list -%}
  {%- call statement('comment_columns') -%}
    create or replace temporary view {{ commented }} (
      {%- for name in names %}
      {{ adapter.quote(name) }} comment {{ sql_text(column_description(name)) }}{{ ',' if not loop.last }}
      {%- endfor %}
    ) as select * from {{ new_rows(relation) }}
  {%- endcall -%}
  create or replace table {{ relation }}
  using delta
  {%- if commit_note %}
  options ('userMetadata' = {{ sql_text(commit_note) }})
  {%- endif %}
  {%- if cluster_by %}
  cluster by ({{ cluster_by | join(', ') }})
  {%- endif %}
  comment {{ sql_text(model.description) }}
  tblproperties ({{ delta_properties(constraint_properties()) }})
  as
  {%- if day %}
  {#- Files of about a month: a day's replacement later rewrites one small file, and readers of a day skip the rest. #}
  select {{ names | join(', ') }}
  from (
    select /*+ repartition({{ config.get('files', 12) }}, _month) */ *
    from (select *, trunc({{ day }}, 'MM') as _month from {{ commented }})
  )
  {%- else %}
  select * from {{ commented }}
  {%- endif %}
{%- endmacro %}

{#- The properties of every Delta table of ours, as a list for tblproperties (…). -#}
{% macro delta_properties(more={}) -%}
  {#- Nothing ends by age: as RETENTION in lakehouse/delta/table.py, which `lakehouse doctor` compares. -#}
  {%- set retention = 'interval 36500 days' -%}
  {%- set properties = {
    'delta.deletedFileRetentionDuration': retention,
    'delta.logRetentionDuration': retention,
    'delta.enableExpiredLogCleanup': 'false',
    'delta.enableDeletionVectors': 'false',
    'delta.columnMapping.mode': 'none',
  } -%}
  {%- do properties.update(more) -%}
  {%- for name, value in properties.items() %}
    '{{ name }}' = {{ sql_text(value) }}{{ ',' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{#-
  The model's not_null and check constraints as Delta properties: a row that breaks one fails the statement
  before anything is committed.
-#}
{% macro constraint_properties() -%}
  {%- set properties = {} -%}
  {%- for constraint in model.constraints if constraint.type == 'check' -%}
    {%- set name = constraint.name or 'check_' ~ loop.index -%}
    {%- do properties.update({'delta.constraints.' ~ name: constraint.expression}) -%}
  {%- endfor -%}
  {%- for column in model.columns.values() -%}
    {%- for constraint in column.constraints -%}
      {%- if constraint.type == 'not_null' -%}
        {%- do properties.update({'delta.constraints.' ~ column.name ~ '_not_null': column.name ~ ' is not null'}) -%}
      {%- elif constraint.type == 'check' -%}
        {%- set name = constraint.name or column.name ~ '_check_' ~ loop.index -%}
        {%- do properties.update({'delta.constraints.' ~ name: constraint.expression}) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(properties) -%}
{%- endmacro %}

{% macro column_description(name) -%}
  {%- do return(model.columns.get(name, {}).get('description', '') | trim) -%}
{%- endmacro %}

{#- A text as a SQL literal. -#}
{% macro sql_text(text) -%}
  {%- do return("'" ~ (text | trim).replace('\\', '\\\\').replace("'", "\\'") ~ "'") -%}
{%- endmacro %}
