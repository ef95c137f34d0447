{#-
  In production a model reads a gated model of another gate as it was last published, not as it was last built:
  the view `published.<model>` stands on the last version that passed its checks. Models of the same gate, tests
  and every other target read the table itself.
-#}
{% macro ref() -%}
  {%- set relation = builtins.ref(*varargs, **kwargs) -%}
  {%- if execute and target.name == 'prod' and model.resource_type == 'model'
      and is_published(relation.identifier, model.config.get('meta', {}).get('gate')) -%}
    {%- set relation = relation.incorporate(
        path={'schema': var('published_schema')}, type='view') -%}
    {%- if flags.WHICH in ['run', 'build'] and load_relation(relation) is none -%}
      {%- do exceptions.raise_compiler_error(
          relation ~ ' does not exist yet: it is made when its table passes its checks. Build the table, then run '
          ~ '`lakehouse check` and `lakehouse release`.') -%}
    {%- endif -%}
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
