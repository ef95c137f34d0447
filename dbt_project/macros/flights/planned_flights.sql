{#-
  How many flights of an entity the day's schedule has, in all and around each flight. All are known with the schedule,
  whose times lie on whole minutes.

  Args:
    name: what the columns begin with, as 'origin'.
    keys: columns of int_flights that make the entity, as ['origin_code']; none for all flights.
  Makes, as int, each of the flights of the same local day:
    NAME_planned_day        all of them
    NAME_planned_1h_before  those scheduled in the hour before the flight; NAME_planned_1h_after: in the hour after it
-#}
{% macro planned_flights(name, keys) -%}
{%- set of_the_day = 'partition by ' ~ (keys + ['flight_date']) | join(', ') -%}
        {#- In the order of the others: they share its sort. #}
        cast(count(*) over (
            {{ of_the_day }} order by sched_dep_at rows between unbounded preceding and unbounded following
        ) as int) as {{ name }}_planned_day,
        cast(count(*) over (
            {{ of_the_day }} order by sched_dep_at
            range between interval 60 minutes preceding and interval 1 minute preceding
        ) as int) as {{ name }}_planned_1h_before,
        cast(count(*) over (
            {{ of_the_day }} order by sched_dep_at
            range between interval 1 minute following and interval 60 minutes following
        ) as int) as {{ name }}_planned_1h_after
{%- endmacro %}

{#- Flights of the entity scheduled that day before the flight. -#}
{% macro planned_earlier(keys) -%}
  cast(count(*) over (
            partition by {{ (keys + ['flight_date']) | join(', ') }} order by sched_dep_at
            range between unbounded preceding and interval 1 minute preceding
        ) as int)
{%- endmacro %}

{#- Flights of the entity scheduled to arrive within half an hour of the flight. -#}
{% macro planned_arrivals_around(keys) -%}
  cast(count(*) over (
            partition by {{ (keys + ['flight_date']) | join(', ') }} order by sched_arr_at
            range between interval 30 minutes preceding and interval 30 minutes following
        ) as int)
{%- endmacro %}

{#- Minutes since the entity's flight before it on the day was scheduled; NULL for the first. -#}
{% macro planned_headway_minutes(keys) -%}
  {{ minutes_between(
            'lag(sched_dep_at) over (partition by '
                ~ (keys + ['flight_date']) | join(', ') ~ ' order by sched_dep_at, flight_id)',
            'sched_dep_at'
        ) }}
{%- endmacro %}
