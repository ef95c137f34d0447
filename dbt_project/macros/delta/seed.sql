{#-
  A seed is a Delta table as any other, made in one statement, and only when its file, its types or its texts
  changed: a checksum of the statement is one of the table's properties. dbt-spark's own drops the table, and with it
  every version that someone may need, and inserts the rows in batches, each a version.

  Types come from the seed's `column_types`. Other columns are what dbt infers, as everywhere; where the seed's
  meta says `infer_types: false`, as this project's do, they are text, as it stands in the file. A value that is not
  of its column's type fails the statement.
-#}
{% materialization seed, adapter='spark' %}
  {%- set agate_table = seed_rows() -%}
  {%- do store_result('agate_table', response='OK', agate_table=agate_table) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing = load_relation(this) -%}
  {%- set columns = [] -%}
  {%- for name in agate_table.column_names -%}
    {%- do columns.append({'name': name}) -%}
  {%- endfor -%}

  {{ run_hooks(pre_hooks) }}

  {%- if existing is not none and (existing.is_view or not existing.is_delta) -%}
    {%- do adapter.drop_relation(existing) -%}
    {%- set existing = none -%}
  {%- endif -%}
  {%- set rows = seed_sql(agate_table) -%}
  {%- set made_from = [rows, comment_clause(), commented_columns(agate_table.column_names)] -%}
  {%- for setting in ['cluster_by', 'partition_by', 'tblproperties'] -%}
    {%- do made_from.append(config.get(setting)) -%}
  {%- endfor -%}
  {%- set checksum = local_md5(made_from | string) -%}
  {%- if existing is not none and not should_full_refresh() and seed_checksum(existing) == checksum -%}
    {%- call noop_statement('main', 'unchanged', 'UNCHANGED', 0) -%}select 1{%- endcall -%}
  {%- else -%}
    {%- set count = 0 if flags.EMPTY else agate_table.rows | length -%}
    {%- set sql = create_delta_table(target_relation, columns, rows=rows, properties={'lakehouse.seed': checksum}) -%}
    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {%- call noop_statement('main', 'CREATE ' ~ count, 'CREATE', count) -%}{{ sql }}{%- endcall -%}
  {%- endif -%}

  {%- do apply_grants(target_relation, config.get('grants'), should_revoke(existing, should_full_refresh())) -%}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- The rows of the seed's file: typed as dbt infers them, or all text. -#}
{% macro seed_rows() -%}
  {%- set agate_table = load_agate_table() -%}
  {%- if not config.get('meta', {}).get('infer_types', true) -%}
    {%- set agate_table = adapter.seed_as_text(agate_table.original_abspath, config.get('delimiter', ',')) -%}
  {%- endif -%}
  {%- do return(agate_table) -%}
{%- endmacro %}

{#- The checksum of what a seed's table was made from; none if it has none. -#}
{% macro seed_checksum(relation) -%}
  {%- do return(properties_of(relation).get('lakehouse.seed')) -%}
{%- endmacro %}

{#-
  The seed's rows as SQL. Each value is text and is cast once for all rows, by try_cast, as `cast` would make NULL of
  what it does not understand, and 1 of 1.5.
-#}
{% macro seed_sql(agate_table) -%}
  {%- set types = config.get('column_types') or {} -%}
  {%- set names = agate_table.column_names -%}
  {%- set no_rows = flags.EMPTY or not agate_table.rows -%}
  select
  {%- for name in names %}
    {%- set type = types.get(name, adapter.convert_type(agate_table, loop.index0)) %}
    {%- if type | lower == 'string' %}
    {{ quoted(name) }}
    {%- else %}
    if(
      {{ quoted(name) }} is null or try_cast({{ quoted(name) }} as {{ type }}) is not null,
      try_cast({{ quoted(name) }} as {{ type }}),
      raise_error(concat({{ sql_text('seed ' ~ model.name ~ ', column ' ~ name ~ ': ') }}, {{ quoted(name) }}, {{ sql_text(' is not a ' ~ type) }}))
    ) as {{ quoted(name) }}
    {%- endif %}{{ ',' if not loop.last }}
  {%- endfor %}
  from values
  {%- if no_rows %}
    ({%- for name in names -%} cast(null as string){{ ', ' if not loop.last }}{%- endfor -%})
  {%- else -%}
  {%- for row in agate_table.rows %}
    ({%- for value in row -%}
      {{ 'cast(null as string)' if value is none else sql_text(value) }}{{ ', ' if not loop.last }}
    {%- endfor -%}){{ ',' if not loop.last }}
  {%- endfor %}
  {%- endif %}
  {#- With `quote_columns: false` a header that is no list of names ends here, as it does with dbt-spark. #}
  as seed ({{ names | join(', ') if config.get('quote_columns') is sameas false else quoted_names(names) }})
  {%- if no_rows %}
  where false
  {%- endif %}
{%- endmacro %}
