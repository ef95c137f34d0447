{#-
  Refuses, before anything is built, what would damage the production target: other people's models, and pinned
  versions of training sets, stand on its tables. A full refresh is none of it: the log and the older versions stay.
-#}
{% macro protect_production() -%}
  {%- if execute and target.name == 'prod' and flags.WHICH in ['run', 'build', 'snapshot', 'seed', 'retry'] -%}
    {%- if flags.EMPTY -%}
      {%- do refuse_in_production('--empty', 'its views would show no row') -%}
    {%- endif -%}
    {#- Jinja's flags leave this one out. -#}
    {%- if invocation_args_dict.get('sample') -%}
      {%- do refuse_in_production('--sample', 'its tables would hold a part of their rows') -%}
    {%- endif -%}
  {%- endif -%}
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
