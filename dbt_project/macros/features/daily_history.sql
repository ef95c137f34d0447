{#-
  How flights of an entity arrived on the days before, once a day: at 3 in the morning, when the day before has landed.

  Each flight counts once, on the first morning on which its arrival was known (int_flight_outcomes). Counts are summed
  by entity and morning, then over windows of mornings. All are integers, so no order of adding matters.

  Args:
    keys: columns of int_flights and int_flight_outcomes that make the entity, as ['dest_code', 'departure_band'].
    days: lengths of the windows in days; the longest is what a day's increment reads.
  Makes the CTEs of a model up to `daily_history`, with the keys, as_of, as_of_date, for each window of N days
    flights_Nd      flights that arrived; late_Nd: those 15 or more minutes late
    delay_Nd        the sum of their delays in minutes, each clipped to -30 to 120
  and the same over all flights as all_flights_Nd, all_late_Nd, all_delay_Nd. An entity has a row on the days of its
  flights.
-#}
{% macro daily_history(keys, days) -%}
{%- set counts = ['flights', 'late', 'delay'] -%}
entity_days as (
    select distinct
        {{ keys | join(',\n        ') }},
        flight_date as as_of_date
    from {{ days_of('int_flights') }}
),

facts as (
    select
        {{ keys | join(',\n        ') }},
        -- Known by 3:00 of a day, it counts on that day, else on the next.
        date_add(to_date({{ local_time('known_at') }} - interval 3 hours - interval 1 microsecond), 1) as as_of_date,
        1 as flights,
        int(arr_delay_minutes >= 15) as late,
        greatest(-30, least(120, arr_delay_minutes)) as delay,
        0 as is_asked
    from {{ days_of('int_flight_outcomes', reads_back=days | max) }}
    union all
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        0 as flights,
        0 as late,
        0 as delay,
        1 as is_asked
    from entity_days
),

-- Without its keys a row counts all flights.
mornings as (
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        grouping({{ keys[0] }}) as is_overall,
        {%- for count in counts %}
        sum({{ count }}) as {{ count }},
        {%- endfor %}
        max(is_asked) as is_asked
    from facts
    group by grouping sets (({{ keys | join(', ') }}, as_of_date), (as_of_date))
),

windows as (
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        is_overall,
        is_asked,
        {%- for day_count in days %}
        {%- set last_day_count = loop.last %}
        {%- for count in counts %}
        sum({{ count }}) over last_{{ day_count }}d as {{ count }}_{{ day_count }}d
        {{- ',' if not (loop.last and last_day_count) }}
        {%- endfor %}
        {%- endfor %}
    from mornings
    window
        {%- for day_count in days %}
        last_{{ day_count }}d as (
            partition by is_overall, {{ keys | join(', ') }} order by unix_date(as_of_date)
            range between {{ day_count - 1 }} preceding and current row
        ){{ ',' if not loop.last }}
        {%- endfor %}
),

with_overall as (
    select
        *,
        max(if(is_overall = 1, struct(
            {%- for day_count in days %}
            {%- set last_day_count = loop.last %}
            {%- for count in counts %}
            {{ count }}_{{ day_count }}d{{ ',' if not (loop.last and last_day_count) }}
            {%- endfor %}
            {%- endfor %}
        ), null)) over (partition by as_of_date) as overall
    from windows
),

daily_history as (
    select
        {%- for key in keys %}
        entities.{{ key }},
        {%- endfor %}
        {{ morning('entities.as_of_date') }} as as_of,
        entities.as_of_date,
        {%- for day_count in days %}
        {%- set last_day_count = loop.last %}
        {%- for count in counts %}
        entities.{{ count }}_{{ day_count }}d,
        entities.overall.{{ count }}_{{ day_count }}d as all_{{ count }}_{{ day_count }}d
        {{- ',' if not (loop.last and last_day_count) }}
        {%- endfor %}
        {%- endfor %}
    from with_overall as entities
    where
        entities.is_overall = 0
        and entities.is_asked = 1
        -- A delivery until an instant holds what became known before it, not at it.
        and {{ morning('entities.as_of_date') }} < {{ delivered_until() }}
)
{%- endmacro %}

{#- 3 in the morning of a local day, in UTC: later than the clock changes. -#}
{% macro morning(date) -%}
  to_utc_timestamp(
            cast({{ date }} as timestamp) + interval 3 hours, '{{ var("time_zone", "America/New_York") }}'
        )
{%- endmacro %}

{#-
  How much more often flights of the entity were late than all flights of the same days, as a share. Few flights tell
  little: `shrink` flights as late as all flights are added, so that a rare entity is near 0, and one without flights is 0.
-#}
{% macro late_excess(days, shrink=20) -%}
  (late_{{ days }}d * all_flights_{{ days }}d - flights_{{ days }}d * all_late_{{ days }}d)
    / nullif(all_flights_{{ days }}d * (flights_{{ days }}d + {{ shrink }}), 0)
{%- endmacro %}
