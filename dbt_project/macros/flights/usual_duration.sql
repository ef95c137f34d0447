{#- What a flight of this distance usually takes from gate to gate, in whole minutes. -#}
{% macro usual_duration_minutes(distance_miles) -%}
  cast({{ distance_miles }} * 10 div 76 + 50 as int)
{%- endmacro %}
