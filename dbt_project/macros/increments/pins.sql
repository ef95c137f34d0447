{#-
  `ref` and `source` of a production build: every table at the version that this build reads, so that nothing that lands
  meanwhile is half seen, and each commit can note what it read. A gated model of another gate is read as it was last
  released, bronze as its gate passed it. A view is read as its SQL at these versions. Elsewhere, and in views
  themselves, in tests and unit tests and with --empty, both are dbt's own.
-#}
{% macro ref() -%}
  {%- set relation = builtins.ref(*varargs, **kwargs) -%}
  {%- if not reads_pinned() or relation.is_cte -%}
    {%- do return(relation) -%}
  {%- endif -%}
  {%- set view = this_build().view_sql(relation.schema, relation.identifier) -%}
  {%- if view is not none -%}
    {%- do return('(\n' ~ render(view) ~ '\n)') -%}
  {%- endif -%}
  {%- do return(this_build().table(relation.schema, relation.identifier, gate_of_reader())) -%}
{%- endmacro %}

{% macro source() -%}
  {%- set relation = builtins.source(*varargs, **kwargs) -%}
  {%- if not reads_pinned() -%}
    {%- do return(relation) -%}
  {%- endif -%}
  {%- do return(this_build().table(relation.schema, relation.identifier, gate_of_reader())) -%}
{%- endmacro %}

{#- Whether what is compiled now reads pinned versions. -#}
{% macro reads_pinned() -%}
  {%- do return(
    execute and target.name == 'prod' and not flags.EMPTY and model is defined
    and model.resource_type in ['model', 'snapshot'] and model.config.materialized != 'view'
    and flags.WHICH in ['run', 'build', 'snapshot', 'retry', 'compile', 'show']
  ) -%}
{%- endmacro %}

{% macro gate_of_reader() -%}
  {%- do return(model.config.get('meta', {}).get('gate')) -%}
{%- endmacro %}
