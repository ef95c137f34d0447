{#-
  Until when every live source has delivered, as a SQL literal: the least over the sources of the end of their
  latest delivery, also of one without rows. Null where one has delivered nothing, and where a model is only parsed.
-#}
{% macro delivery_watermark(sources=['flight_actuals', 'weather_observations']) -%}
  {%- if not execute or flags.WHICH in ['parse', 'list'] -%}
    {%- do return('null') -%}
  {%- endif -%}
  {%- set rows = run_query(
    "select 'at ' || cast(min(until) as string) as until, count(until) as source_count from ("
    ~ "select max(_delivered_until) as until from " ~ source('bronze', 'deliveries')
    ~ " where source in ('" ~ sources | join("', '") ~ "') group by source)").rows -%}
  {%- do return("'" ~ rows[0].until[3:] ~ "'" if rows[0].source_count | int == sources | length else 'null') -%}
{%- endmacro %}
