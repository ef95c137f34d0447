{#-
  In production a model reads a gated model of another gate as it was last published, not as it was last built:
  the view `published.<model>` stands on the last version that passed its checks. Models of the same gate, tests
  and every other target read the table itself.
-#}
{% macro ref() -%}
  {%- set relation = builtins.ref(*varargs, **kwargs) -%}
  {%- if execute and model.resource_type == 'model' -%}
    {%- set relation = as_read(relation, model.config.get('meta', {}).get('gate')) -%}
    {%- if relation.schema == var('published_schema') and flags.WHICH in ['run', 'build']
        and load_relation(relation) is none -%}
      {%- do exceptions.raise_compiler_error(
          relation ~ ' does not exist yet: it is made when its table passes its checks. Build the table, then run '
          ~ '`lakehouse check` and `lakehouse release`.') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(relation) -%}
{%- endmacro %}

{#- A model's table, or in production the view of what is published, as a model of this gate reads it. -#}
{% macro as_read(relation, gate) -%}
  {%- if target.name == 'prod' and is_published(relation.identifier, gate) -%}
    {%- set relation = relation.incorporate(path={'schema': var('published_schema')}, type='view') -%}
  {%- endif -%}
  {%- do return(relation) -%}
{%- endmacro %}

{#- Whether this model is gated, by another gate than the reader's. -#}
{% macro is_published(model_name, readers_gate) -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.alias == model_name -%}
    {%- set gate = node.config.get('meta', {}).get('gate') -%}
    {%- if gate is not none and gate != readers_gate -%}
      {%- do return(true) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(false) -%}
{%- endmacro %}
