{#- Days and minutes. Timestamps are UTC; a day is a day of the calendar in var('time_zone'). -#}

{% macro local_date(timestamp) -%}
  to_date(from_utc_timestamp({{ timestamp }}, '{{ var("time_zone") }}'))
{%- endmacro %}

{% macro local_time(timestamp) -%}
  from_utc_timestamp({{ timestamp }}, '{{ var("time_zone") }}')
{%- endmacro %}

{#- The first instant of a local day, in UTC. -#}
{% macro start_of_day(date) -%}
  to_utc_timestamp(cast({{ date }} as timestamp), '{{ var("time_zone") }}')
{%- endmacro %}

{#- Whole minutes from one timestamp to another, as int; both lie on whole minutes. -#}
{% macro minutes_between(start, end) -%}
  cast((unix_seconds({{ end }}) - unix_seconds({{ start }})) div 60 as int)
{%- endmacro %}

{#- The last instant of the grid that is not later than an instant; a day's grid begins at its midnight. -#}
{% macro last_grid_instant(instant) -%}
  {%- set step = var('grid_minutes') * 60 -%}
  {%- set midnight = 'unix_seconds(' ~ start_of_day(local_date(instant)) ~ ')' -%}
  timestamp_seconds({{ midnight }} + (unix_seconds({{ instant }}) - {{ midnight }}) div {{ step }} * {{ step }})
{%- endmacro %}

{#- 3 in the morning of a local day, in UTC: later than the clock changes. -#}
{% macro morning(date) -%}
  to_utc_timestamp(
            cast({{ date }} as timestamp) + interval 3 hours, '{{ var("time_zone") }}'
        )
{%- endmacro %}

{#- The last such morning that is not later than an instant. -#}
{% macro last_morning(instant) -%}
  {{ morning('to_date(' ~ local_time(instant) ~ ' - interval 3 hours)') }}
{%- endmacro %}
