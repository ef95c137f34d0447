{#-
  Refuses, before anything is built, what would damage the production target: other people's models, and pinned
  versions of training sets, stand on its tables. A full refresh is none of it: the log and the older versions stay.
  Every command that writes asks it: at its start (on-run-start), or where it runs no hooks, before it makes anything.
-#}
{% macro protect_production() -%}
  {%- if execute and target.name == 'prod' -%}
    {%- if flags.WHICH in ['run', 'build', 'snapshot', 'seed', 'retry'] -%}
      {%- if flags.EMPTY -%}
        {%- do refuse_in_production('--empty', 'its views would show no row') -%}
      {%- endif -%}
      {#- Jinja's flags leave this one out. -#}
      {%- if invocation_args_dict.get('sample') -%}
        {%- do refuse_in_production('--sample', 'its tables would hold a part of their rows') -%}
      {%- endif -%}
    {%- endif -%}
    {%- for name in ['bronze_schema', 'predictions_schema', 'published_schema'] -%}
      {%- if name in (invocation_args_dict.get('vars') or {}) -%}
        {%- do refuse_in_production(
            "--vars '{" ~ name ~ ": " ~ var(name) ~ "}'", 'its tables would be made from those of another schema') -%}
      {%- endif -%}
    {%- endfor -%}
  {%- elif execute
      and target.schema | lower in production_schemas() + graph.sources.values() | map(attribute='schema') | map('lower') | list -%}
    {%- do exceptions.raise_compiler_error(
        'the schema ' ~ target.schema ~ ' of the target ' ~ target.name ~ " is not yours: production or a source has it, and its tables would be "
        ~ 'replaced. Set LAKEHOUSE_DBT_SCHEMA to a name of your own, or leave it out.') -%}
  {%- endif -%}
{%- endmacro %}

{#- The schemas that production writes or reads, in lower case: the platform's own, and those of the layers. -#}
{% macro production_schemas() -%}
  {%- set schemas = ['bronze', 'bronze_quarantine', 'published', 'predictions', 'monitoring', 'lakehouse'] -%}
  {%- for node in graph.nodes.values() if node.config.get('schema') -%}
    {%- do schemas.append(node.config.schema | trim | lower) -%}
  {%- endfor -%}
  {%- do return(schemas | unique | list) -%}
{%- endmacro %}

{% macro refuse_in_production(what, because) -%}
  {%- do exceptions.raise_compiler_error(
    what ~ ' on the target prod is refused: ' ~ because ~ '. Leave out `--target prod`: your own schema can have it.') -%}
{%- endmacro %}

{#- dbt drops the table of a model that turned into a view, and with it every version that someone may need. -#}
{% macro spark__handle_existing_table(full_refresh, old_relation) -%}
  {%- if target.name == 'prod' -%}
    {%- do refuse_in_production('a view in place of ' ~ old_relation, 'all versions of the table would be lost') -%}
  {%- endif -%}
  {%- do adapter.drop_relation(old_relation) -%}
{%- endmacro %}
