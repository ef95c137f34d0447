{#-
  The build under way, as Python sees it (lakehouse/dbt/build.py): it knows which version of each input to read, and
  which days of a model to compute.
-#}
{% macro this_build() -%}
  {%- do return(adapter.this_build(invocation_id, graph, {
    'command': flags.WHICH,
    'production': target.name == 'prod',
    'empty': flags.EMPTY,
    'time_zone': var('time_zone'),
    'bronze': var('bronze_schema'),
    'start_date': var('start_date'),
    'end_date': var('end_date'),
  })) -%}
{%- endmacro %}

{#-
  Around a build: in production it waits for others that build, and resolves what it reads before its first model is
  built.
-#}
{% macro begin_build() -%}
  {%- if execute and flags.WHICH in ['run', 'build', 'snapshot', 'retry', 'seed'] -%}
    {%- do this_build().begin() -%}
  {%- endif -%}
{%- endmacro %}

{% macro end_build() -%}
  {%- if execute and flags.WHICH in ['run', 'build', 'snapshot', 'retry', 'seed'] -%}
    {%- do this_build().end() -%}
  {%- endif -%}
{%- endmacro %}
