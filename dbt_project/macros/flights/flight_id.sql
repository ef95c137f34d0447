{#-
  The key of a flight: carrier, number, origin and scheduled departure. (Carrier, number and date alone repeat.)
-#}
{% macro flight_id() -%}
  concat_ws('-', carrier_code, flight_number, origin_code, date_format(sched_dep_at, 'yyyyMMddHHmm'))
{%- endmacro %}
