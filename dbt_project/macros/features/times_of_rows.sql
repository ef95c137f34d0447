{#- The columns of a model whose meta says whose row's time they hold (`row_of`). -#}
{% macro times_of_rows(relation) -%}
  {%- set times = [] -%}
  {%- if execute -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.schema == relation.schema and node.alias == relation.identifier -%}
      {%- for column in node.columns.values() if column.meta.get('row_of') -%}
        {%- do times.append(column.name) -%}
      {%- endfor -%}
    {%- endfor -%}
    {%- if not times -%}
      {%- do exceptions.raise_compiler_error(
          'known_by: no column of ' ~ relation ~ ' says in its meta whose row it is the time of (row_of); or give times') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(times) -%}
{%- endmacro %}
