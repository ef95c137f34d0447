{#-
  How flights of an entity arrived on the days before, once a day: at 3 in the morning, when the day before has landed.

  Each flight counts once, on the first morning on which its arrival was known (int_flight_outcomes), and is taken away
  again when it leaves a window: a window's count is the sum of all changes so far. All are integers, so no order of
  adding matters.

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
{%- set names = [] -%}
{%- for day_count in days -%}
  {%- for count in counts -%}
    {%- do names.append({'name': count ~ '_' ~ day_count ~ 'd', 'of': count, 'days': day_count}) -%}
  {%- endfor -%}
{%- endfor -%}
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
        date_add(to_date({{ local_time('known_at') }} - interval 3 hours - interval 1 microsecond), 1) as counts_on,
        1 as flights,
        int(arr_delay_minutes >= 15) as late,
        greatest(-30, least(120, arr_delay_minutes)) as delay
    from {{ days_of('int_flight_outcomes', reads_back=days | max) }}
),

-- A flight enters all windows on its morning, and leaves that of N days N days later.
changes as (
    select
        {{ keys | join(',\n        ') }},
        stack(
            {{ days | length + 1 }},

            counts_on,
            {{ names | map(attribute='of') | join(', ') }}
            {%- for day_count in days %},

            date_add(counts_on, {{ day_count }}),
            {%- for count_name in names %}
            {{ '-' ~ count_name.of if count_name.days == day_count else '0' }}{{ ',' if not loop.last }}
            {%- endfor %}
            {%- endfor %}
        ) as (as_of_date, {{ names | map(attribute='name') | join(', ') }})
    from facts
),

-- What changed before the first morning that is asked for is one sum on it.
by_entity as (
    select
        {{ keys | join(',\n        ') }},
        {{ within_asked_days('as_of_date') }} as as_of_date,
        {%- for count_name in names %}
        sum({{ count_name.name }}) as {{ count_name.name }},
        {%- endfor %}
        0 as is_asked
    from changes
    group by {{ keys | join(', ') }}, {{ within_asked_days('as_of_date') }}
    union all
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        {%- for _ in names %}
        0,
        {%- endfor %}
        1
    from entity_days
),

-- Without its keys a row counts all flights.
mornings as (
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        grouping({{ keys[0] }}) as is_overall,
        {%- for count_name in names %}
        sum({{ count_name.name }}) as {{ count_name.name }},
        {%- endfor %}
        max(is_asked) as is_asked
    from by_entity
    group by grouping sets (({{ keys | join(', ') }}, as_of_date), (as_of_date))
),

windows as (
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        is_overall,
        is_asked,
        {%- for count_name in names %}
        sum({{ count_name.name }}) over so_far as {{ count_name.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from mornings
    window so_far as (
        partition by is_overall, {{ keys | join(', ') }} order by as_of_date
        rows between unbounded preceding and current row
    )
),

with_overall as (
    select
        *,
        max(if(is_overall = 1, struct(
            {{ names | map(attribute='name') | join(',\n            ') }}
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
        {%- for count_name in names %}
        entities.{{ count_name.name }},
        entities.overall.{{ count_name.name }} as all_{{ count_name.name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from with_overall as entities
    where
        entities.is_overall = 0
        and entities.is_asked = 1
        -- A delivery until an instant holds what became known before it, not at it.
        and {{ morning('entities.as_of_date') }} < {{ delivered_until() }}
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
