{#-
  The arrivals of an entity's last hours, from what was known then: what flights lose or win on their way.

  A row for each instant of the grid at which a window gains or loses a flight; what the last row says holds until the
  next. Counts and sums are integers, so no order of adding matters.

  Args:
    keys: columns of int_flight_outcomes that make the entity, as ['dest_code']; rows without one are left out.
    hours: lengths of the windows in hours. A day's rows look back on the day before, from 21 hours on on two (a day
           may have 23 hours): the model's inputs say `lookback` accordingly.
  Makes the CTEs of a model up to `arrival_windows`, with the keys, as_of, as_of_date, and for each window of N hours
    en_route_minutes_Nh         mean of the minutes that the flights lost between departure and arrival
    air_time_excess_minutes_Nh  mean of their minutes in the air beside what the distance takes
    arrivals_Nh                 flights of which both are known
-#}
{% macro arrival_windows(keys, hours) -%}
{%- set step = var('grid_minutes', 15) * 60 -%}
arrivals as (
    select
        {{ keys | join(',\n        ') }},
        -- An arrival counts from the first grid instant at which it is known.
        (unix_seconds(known_at) + {{ step - 1 }}) div {{ step }} * {{ step }} as as_of_second,
        en_route_delay_minutes,
        air_time_excess_minutes
    from {{ days_of('int_flight_outcomes', reads_back=(hours | max + 3) // 24 + 1) }}
    where
        en_route_delay_minutes is not null
        and air_time_excess_minutes is not null
        and {{ keys | join(' is not null and ') }} is not null
),

facts as (
    select
        {{ keys | join(',\n        ') }},
        as_of_second,
        1 as arrivals,
        en_route_delay_minutes,
        air_time_excess_minutes
    from arrivals
    union all
    -- It leaves each window so many hours later, which makes another row.
    select
        {{ keys | join(',\n        ') }},
        explode(transform(array({{ hours | join(', ') }}), hour -> as_of_second + hour * 3600)) as as_of_second,
        0 as arrivals,
        0 as en_route_delay_minutes,
        0 as air_time_excess_minutes
    from arrivals
),

instants as (
    select
        {{ keys | join(',\n        ') }},
        as_of_second,
        sum(arrivals) as arrivals,
        sum(en_route_delay_minutes) as en_route_delay_minutes,
        sum(air_time_excess_minutes) as air_time_excess_minutes
    from facts
    group by {{ keys | join(', ') }}, as_of_second
),

windows as (
    select
        {{ keys | join(',\n        ') }},
        timestamp_seconds(as_of_second) as as_of,
        {{ local_date('timestamp_seconds(as_of_second)') }} as as_of_date,
        {%- for hour_count in hours %}
        sum(arrivals) over last_{{ hour_count }}h as arrivals_{{ hour_count }}h,
        sum(en_route_delay_minutes) over last_{{ hour_count }}h as en_route_{{ hour_count }}h,
        sum(air_time_excess_minutes) over last_{{ hour_count }}h as air_time_excess_{{ hour_count }}h
        {{- ',' if not loop.last }}
        {%- endfor %}
    from instants
    window
        {%- for hour_count in hours %}
        last_{{ hour_count }}h as (
            partition by {{ keys | join(', ') }} order by as_of_second
            range between {{ hour_count * 3600 - 1 }} preceding and current row
        ){{ ',' if not loop.last }}
        {%- endfor %}
),

arrival_windows as (
    select
        {%- for key in keys %}
        windows.{{ key }},
        {%- endfor %}
        windows.as_of,
        windows.as_of_date,
        {%- for hour_count in hours %}
        windows.arrivals_{{ hour_count }}h,
        windows.en_route_{{ hour_count }}h / nullif(windows.arrivals_{{ hour_count }}h, 0)
            as en_route_minutes_{{ hour_count }}h,
        windows.air_time_excess_{{ hour_count }}h / nullif(windows.arrivals_{{ hour_count }}h, 0)
            as air_time_excess_minutes_{{ hour_count }}h
        {{- ',' if not loop.last }}
        {%- endfor %}
    from windows
    where
        {{ in_days('windows.as_of_date') }}
        -- A delivery until an instant holds what became known before it, not at it.
        and windows.as_of < {{ delivered_until() }}
)
{%- endmacro %}
