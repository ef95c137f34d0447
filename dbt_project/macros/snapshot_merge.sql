{#- A snapshot that found nothing new commits nothing: a MERGE of no row would be another version all the same. -#}
{% macro spark__snapshot_merge_sql(target, source, insert_cols) -%}
  {%- if run_query('select 1 as found from ' ~ source ~ ' limit 1').rows | length == 0 -%}
    select 1
  {%- else -%}
    {{ dbt.spark__snapshot_merge_sql(target, source, insert_cols) }}
  {%- endif -%}
{%- endmacro %}
