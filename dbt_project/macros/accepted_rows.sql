{#-
  The rows of a bronze source that keep every row rule of its YAML; the gate quarantines the others.
-#}
{% macro accepted_rows(table_name, source_name='bronze') -%}
  {%- set rules = {} -%}
  {%- if execute -%}
    {%- for node in graph.sources.values()
        if node.source_name == source_name and node.name == table_name -%}
      {%- do rules.update(node.config.get('meta', {}).get('row_rules', {})) -%}
    {%- endfor -%}
  {%- endif -%}
  (
    select * from {{ source(source_name, table_name) }}
    where
      true
      {%- for condition in rules.values() %}
      and coalesce({{ condition }}, false)
      {%- endfor %}
  )
{%- endmacro %}
