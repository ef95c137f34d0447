{#-
  How flights ended, report by report: what makes the label of a training set, and what stands beside a score.

  One row per flight and instant at which a report became known. A flight reported as cancelled has no delay; the report
  ends the one that it had.
-#}
{% macro reported_outcomes() -%}
  select
    flight_id,
    known_at,
    max(if(event_type = 'arrived', delay_minutes, null)) as arr_delay_minutes
  from {{ days_of('int_flight_events') }}
  where event_type in ('arrived', 'cancelled')
  group by flight_id, known_at
{%- endmacro %}
