{#-
  The rows that a data test looks at. `where: built_days` (dbt_project.yml) means every row, but where a run was
  asked for days through the environment, as the graph's are, those of the days that the table's last commit replaced:
  a day's tests then cost what the day holds. A key never spans two days, as each table is replaced by whole days.
-#}
{% macro get_where_subquery(relation) -%}
  {%- set where = config.get('where') -%}
  {%- if where and where != 'built_days' -%}
    {%- do return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') dbt_subquery') -%}
  {%- endif -%}
  {%- if where and execute and env_var('LAKEHOUSE_START_DATE', '') -%}
    {%- set days = last_note(relation).get('days', 'all') -%}
    {%- set day = day_column_of(relation) -%}
    {%- if days != 'all' and day -%}
      {%- do return(
          '(select * from ' ~ relation ~ ' where ' ~ (ranges_condition(day, days) if days else 'false')
          ~ ') dbt_subquery') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(relation) -%}
{%- endmacro %}

{#- The column by which a model's table is replaced; none if it is not. -#}
{% macro day_column_of(relation) -%}
  {%- for node in graph.nodes.values()
      if node.resource_type == 'model' and node.schema == relation.schema and node.alias == relation.identifier -%}
    {%- do return(node.config.get('day')) -%}
  {%- endfor -%}
{%- endmacro %}
