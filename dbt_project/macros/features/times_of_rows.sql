{#- The columns of the model that a test is about whose meta says whose row's time they hold (`row_of`). -#}
{% macro times_of_rows() -%}
  {%- set times = [] -%}
  {%- if execute -%}
    {#- In a macro `model` is the node of the test. Its relation may be another schema's (--defer). -#}
    {%- set tested = graph.nodes[model.attached_node] -%}
    {%- for column in tested.columns.values() if column.meta.get('row_of') -%}
      {%- do times.append(column.name) -%}
    {%- endfor -%}
    {%- if not times -%}
      {%- do exceptions.raise_compiler_error(
          'known_by: no column of ' ~ tested.name ~ ' says in its meta whose row it is the time of (row_of); or give times') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(times) -%}
{%- endmacro %}
