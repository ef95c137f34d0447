{#-
  Where a model lands: in production one schema a layer, everywhere else the developer's own schema. dbt asks this
  when it parses, before it makes anything, so a name that Spark would not take ends here.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if not modules.re.fullmatch('[A-Za-z0-9_]+', target.schema) -%}
    {%- do exceptions.raise_compiler_error(
        '"' ~ target.schema ~ '" is not a schema of its own: letters, digits and _ make its name. Set '
        ~ 'LAKEHOUSE_DBT_SCHEMA to such a name, or leave it out.') -%}
  {%- endif -%}
  {%- if target.name == 'prod' and custom_schema_name is not none -%}
    {{ custom_schema_name | trim }}
  {%- else -%}
    {{ target.schema }}
  {%- endif -%}
{%- endmacro %}
