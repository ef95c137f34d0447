{#-
  Everything that a Delta table needs stands in the one statement that makes it: a replace resets what it does
  not name, and each statement after it would be another version. dbt-spark's own macro knows no clustering,
  no constraints and no column comments. Tables of other formats, and Python models, are left to it.

  Column comments travel through a temporary view: `create table … as select` takes none, but keeps those of the
  columns it selects.
-#}
{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
  {%- set plan = day_plan() -%}
  {%- if language != 'sql' or config.get('file_format', 'delta') != 'delta' -%}
    {{ dbt.spark__create_table_as(temporary, relation, compiled_code, language) }}
  {%- elif temporary and plan and plan.columns_known and not flags.EMPTY -%}
    {#- All that a view of the rows would tell are columns, and they are the table's. -#}
    {{ create_temporary_view(relation, 'select * from ' ~ this ~ ' where false') }}
  {%- elif temporary -%}
    {{ create_temporary_view(relation, compiled_code) }}
  {%- else -%}
    {%- set columns = prepare_columns(relation, compiled_code) -%}
    {{ create_delta_table(relation, columns, plan.note if plan else none) }}
  {%- endif -%}
{%- endmacro %}

{#-
  Makes the temporary view `<model>__new` of the model's rows, and checks it against the model's contract.
  Returns its columns: {name, type, comment}.
-#}
{% macro prepare_columns(relation, compiled_code) -%}
  {%- do run_query('create or replace temporary view ' ~ new_rows(relation) ~ ' as\n' ~ compiled_code) -%}
  {%- set columns = columns_of(new_rows(relation)) -%}
  {%- do check_contract(columns) -%}
  {%- do return(columns) -%}
{%- endmacro %}

{#- Refuses columns that are not those of the model's YAML, where its contract is enforced. -#}
{% macro check_contract(columns) -%}
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
  {%- do return(description_of(relation, 'describe').columns) -%}
{%- endmacro %}

{#-
  What a table or view says of itself: {columns: [{name, type, comment}], comment}. Of a Delta table here its log says
  it, without a statement.

  Args:
    statement: `describe extended` for the comment of the table as well; `describe` knows its columns only.
-#}
{% macro description_of(relation, statement='describe extended') -%}
  {#- Another project that uses these macros has no plugin that adds it to the adapter. -#}
  {%- set is_told = relation is not string and adapter.local_description is defined -%}
  {%- set description = adapter.local_description(relation) if is_told else none -%}
  {%- if description is not none -%}
    {%- do return(description) -%}
  {%- endif -%}
  {%- set columns = [] -%}
  {%- set told = namespace(part='columns', comment='') -%}
  {%- for row in run_query(statement ~ ' ' ~ relation).rows -%}
    {#- What follows the columns (clustering, partitions, details) starts with an empty row or a heading. -#}
    {%- if not row.col_name or row.col_name.startswith('# ') -%}
      {%- set told.part = row.col_name -%}
    {%- elif told.part == 'columns' -%}
      {%- do columns.append({'name': row.col_name, 'type': row.data_type, 'comment': row.comment or ''}) -%}
    {%- elif told.part == '# Detailed Table Information' and row.col_name == 'Comment' -%}
      {%- set told.comment = row.data_type or '' -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return({'columns': columns, 'comment': told.comment}) -%}
{%- endmacro %}

{#- The properties of a table, from its log where that is here. -#}
{% macro properties_of(relation) -%}
  {%- set description = adapter.local_description(relation) if adapter.local_description is defined else none -%}
  {%- if description is not none -%}
    {%- do return(description.properties) -%}
  {%- endif -%}
  {%- set properties = {} -%}
  {%- for row in run_query('show tblproperties ' ~ relation).rows -%}
    {%- do properties.update({row.key: row.value}) -%}
  {%- endfor -%}
  {%- do return(properties) -%}
{%- endmacro %}

{#- The temporary view of a model's new rows. -#}
{% macro new_rows(relation) -%}
  {%- do return('`' ~ relation.identifier ~ '__new`') -%}
{%- endmacro %}

{#-
  The statement that makes the table from its view of new rows.

  Args:
    columns: the view's columns, from prepare_columns; only their names are used.
    commit_note: text stored with the Delta commit (its userMetadata).
    rows: SQL of the rows, where they are not those of the view that prepare_columns made.
    properties: the table's properties beside those of every table.
-#}
{% macro create_delta_table(relation, columns, commit_note=none, rows=none, properties={}) -%}
  {%- set day = config.get('event_date') -%}
  {%- set cluster_by = config.get('cluster_by', [day] if day else []) -%}
  {%- set names = columns | map(attribute='name') | list -%}
  {%- set commented = '`' ~ relation.identifier ~ '__commented`' -%}
  {%- call statement('comment_columns') -%}
    create or replace temporary view {{ commented }} ({{ commented_columns(names) }})
    as {{ rows or 'select * from ' ~ new_rows(relation) }}
  {%- endcall -%}
  create or replace table {{ relation }}
  using delta
  {%- if commit_note %}
  options ('userMetadata' = {{ sql_text(commit_note) }})
  {%- endif %}
  {%- if config.get('partition_by') %}
  {{ partition_cols(label='partitioned by') }}
  {%- elif cluster_by %}
  cluster by ({{ quoted_names([cluster_by] if cluster_by is string else cluster_by) }})
  {%- endif %}
  {{ location_clause() }}
  {{ comment_clause() }}
  tblproperties ({{ delta_properties(dict(config.get('tblproperties') or {}, **dict(constraint_properties(), **properties))) }})
  as
  {%- if day %}
  {#- Files of about a month: a day's replacement later rewrites one small file, and readers of a day skip the rest. #}
  select {{ quoted_names(names) }}
  from (
    select /*+ repartition({{ config.get('files', 12) }}, __month) */ *
    from (select *, trunc({{ quoted(day) }}, 'MM') as __month from {{ commented }})
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
    {{ sql_text(name) }} = {{ sql_text(value) }}{{ ',' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{#-
  The model's not_null and check constraints as Delta properties: a row that breaks one fails the statement
  before anything is committed.
-#}
{% macro constraint_properties() -%}
  {%- set properties = {} -%}
  {%- for constraint in model.get('constraints', []) if constraint.type == 'check' -%}
    {%- set name = constraint.name or 'check_' ~ loop.index -%}
    {%- do properties.update({'delta.constraints.' ~ name: constraint.expression}) -%}
  {%- endfor -%}
  {%- for column in model.columns.values() -%}
    {%- for constraint in column.constraints -%}
      {%- if constraint.type == 'not_null' -%}
        {%- do properties.update({
          'delta.constraints.' ~ column.name ~ '_not_null': quoted(column.name) ~ ' is not null',
        }) -%}
      {%- elif constraint.type == 'check' -%}
        {%- set name = constraint.name or column.name ~ '_check_' ~ loop.index -%}
        {%- do properties.update({'delta.constraints.' ~ name: constraint.expression}) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(properties) -%}
{%- endmacro %}
