{#-
  A seed is a view on its values: small, typed, made in one statement, and no new table version at every build, as
  dbt-spark's drop, create and insert would be. Types come from the seed's `column_types`, else text.
-#}
{% materialization seed, adapter='spark' %}
  {%- set agate_table = load_agate_table() -%}
  {%- do store_result('agate_table', response='OK', agate_table=agate_table) -%}
  {%- set types = config.get('column_types', {}) -%}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set existing = load_relation(this) -%}
  {%- if existing is not none and not existing.is_view -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
  {{ run_hooks(pre_hooks) }}
  {%- call statement('main') -%}
    create or replace view {{ target_relation }} (
      {%- for name in agate_table.column_names %}
      {{ name }} comment {{ sql_text(column_description(name)) }}{{ ',' if not loop.last }}
      {%- endfor %}
    )
    comment {{ sql_text(model.description) }}
    as select
      {%- for name in agate_table.column_names %}
      cast({{ name }} as {{ types.get(name, 'string') }}) as {{ name }}{{ ',' if not loop.last }}
      {%- endfor %}
    from values
      {%- for row in agate_table.rows %}
      (
        {%- for value in row -%}
          {{ 'null' if value is none else sql_text(value | string) }}{{ ', ' if not loop.last }}
        {%- endfor -%}
      ){{ ',' if not loop.last }}
      {%- endfor %}
    as seed ({{ agate_table.column_names | join(', ') }})
  {%- endcall -%}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
