{#- int_flights: the scheduled arrival in UTC, if it falls so many days after the local day of departure. -#}
{% macro arrival_on(days) -%}
  to_utc_timestamp(
    timestamp_seconds(
      unix_seconds(cast(date_add(flight_date, {{ days }}) as timestamp)) + sched_arr_local_minute * 60
    ),
    dest_time_zone
  )
{%- endmacro %}
