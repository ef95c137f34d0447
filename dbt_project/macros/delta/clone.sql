{#- `dbt clone`: tables as shallow clones, which share the files of the ones they are made from. -#}

{#- Quoted: the schema `history` is a word of Delta's own SQL. -#}
{% macro spark__create_or_replace_clone(this_relation, defer_relation) -%}
  create or replace table `{{ this_relation.schema }}`.`{{ this_relation.identifier }}`
  shallow clone `{{ defer_relation.schema }}`.`{{ defer_relation.identifier }}`
{%- endmacro %}

{#- It runs no hooks; it asks this before it makes anything. -#}
{% macro spark__can_clone_table() -%}
  {%- if target.name == 'prod' -%}
    {%- do refuse_in_production('dbt clone', 'its tables would be those of another schema') -%}
  {%- endif -%}
  {%- do protect_production() -%}
  {%- do return(true) -%}
{%- endmacro %}
