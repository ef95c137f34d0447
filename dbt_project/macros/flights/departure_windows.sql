{#-
  The departures of an entity's last hours, at every instant of the grid, from what was known then.

  Each flight becomes facts, each with the instant from which it is known for certain:
    scheduled + 30 min   late by 15 or not: a departure less than 15 minutes late has been reported by then (15 minutes
                         of delay and 15 of delivery), so the others are late, whenever they leave
    scheduled + 45 min   late by 30 or not, and the delay clipped to 0 to 30 minutes, likewise
    scheduled            it begins to wait, until its departure or cancellation is known, at most 18 hours
  Facts are summed by grid instant, then over windows of instants. All are integers, so no order of adding matters.
  A flight known to be cancelled at a fact's instant is left out of it.

  Args:
    keys: columns of int_flights that make the entity, as ['origin_code'].
    hours: lengths of the windows in hours, 20 at most: a day's rows look back on the day before.
  Makes the CTEs of a model up to `departure_windows`, with the keys, as_of, as_of_date, for each window of N hours
    departures_Nh           flights whose lateness by 15 became known in it; late_15_Nh: those late
    measured_Nh             flights whose clipped delay became known in it; clipped_delay_Nh: its sum in minutes;
                            late_30_Nh: those late by 30
  and
    departures_today        flights whose lateness by 15 became known since 3 in the morning; late_15_today: those late
    waiting, waiting_15     flights past their schedule and not known to have left, and those 15 minutes past it
-#}
{% macro departure_windows(keys, hours) -%}
{%- set step = var('grid_minutes', 15) * 60 -%}
{%- set counts = ['departures', 'late_15', 'measured', 'clipped_delay', 'late_30', 'waiting', 'waiting_15'] -%}
flights as (
    select
        flight_id,
        flight_date,
        {{ keys | join(',\n        ') }},
        sched_dep_at
    from {{ days_of('int_flights', reads_back=1) }}
),

reports as (
    select
        flight_id,
        event_type,
        known_at,
        delay_minutes
    from {{ days_of('int_flight_events', reads_back=1) }}
    where event_type in ('departed', 'cancelled')
),

known_departures as (
    select
        flights.flight_id,
        {%- for key in keys %}
        flights.{{ key }},
        {%- endfor %}
        flights.sched_dep_at,
        least(min(reports.known_at), flights.sched_dep_at + interval 18 hours) as left_at,
        {%- for minutes in [30, 45] %}
        count_if(
            reports.event_type = 'cancelled'
            and reports.known_at <= flights.sched_dep_at + interval {{ minutes }} minutes
        ) > 0 as is_cancelled_by_{{ minutes }},
        max_by(reports.delay_minutes, reports.known_at) filter (
            where reports.event_type = 'departed'
            and reports.known_at <= flights.sched_dep_at + interval {{ minutes }} minutes
        ) as delay_by_{{ minutes }}{{ ',' if not loop.last }}
        {%- endfor %}
    from flights
    left join reports on flights.flight_id = reports.flight_id
    group by flights.flight_id, {% for key in keys %}flights.{{ key }}, {% endfor %}flights.sched_dep_at
),

facts as (
    select
        {{ keys | join(',\n        ') }},
        stack(
            5,
            sched_dep_at + interval 30 minutes,
            int(not is_cancelled_by_30),
            int(not is_cancelled_by_30 and coalesce(delay_by_30, 15) >= 15),
            0, 0, 0, 0, 0,

            sched_dep_at + interval 45 minutes,
            0, 0,
            int(not is_cancelled_by_45),
            if(is_cancelled_by_45, 0, greatest(0, least(30, coalesce(delay_by_45, 30)))),
            int(not is_cancelled_by_45 and coalesce(delay_by_45, 30) >= 30),
            0, 0,

            sched_dep_at,
            0, 0, 0, 0, 0,
            int(left_at > sched_dep_at),
            0,

            sched_dep_at + interval 15 minutes,
            0, 0, 0, 0, 0, 0,
            int(left_at > sched_dep_at + interval 15 minutes),

            left_at,
            0, 0, 0, 0, 0,
            -int(left_at > sched_dep_at),
            -int(left_at > sched_dep_at + interval 15 minutes)
        ) as (known_at, {{ counts | join(', ') }})
    from known_departures
),

-- An entity has rows on the days of its flights and on the days after them.
entity_days as (
    select distinct
        {{ keys | join(',\n        ') }},
        explode(array(flight_date, date_add(flight_date, 1))) as as_of_date
    from flights
),

grid as (
    select
        {{ keys | join(',\n        ') }},
        as_of_date,
        explode(sequence(
            {{ start_of_day('as_of_date') }},
            {{ start_of_day('date_add(as_of_date, 1)') }} - interval {{ step }} seconds,
            interval {{ step }} seconds
        )) as as_of
    from entity_days
    where {{ in_days('as_of_date') }}
),

-- A fact counts from the first grid instant at which it is known.
instants as (
    select
        {{ keys | join(',\n        ') }},
        (unix_seconds(known_at) + {{ step - 1 }}) div {{ step }} * {{ step }} as as_of_second,
        cast(null as date) as as_of_date,
        {{ counts | join(',\n        ') }}
    from facts
    union all
    select
        {%- for key in keys %}
        grid.{{ key }},
        {%- endfor %}
        unix_seconds(grid.as_of) as as_of_second,
        grid.as_of_date,
        {% for count in counts %}0 as {{ count }}{{ ', ' if not loop.last }}{% endfor %}
    from grid
    -- A delivery until an instant holds what became known before it, not at it.
    where grid.as_of < {{ delivered_until() }}
),

counts as (
    select
        {{ keys | join(',\n        ') }},
        as_of_second,
        max(as_of_date) as as_of_date,
        {%- for count in counts %}
        sum({{ count }}) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from instants
    group by {{ keys | join(', ') }}, as_of_second
),

windows as (
    select
        {{ keys | join(',\n        ') }},
        timestamp_seconds(as_of_second) as as_of,
        as_of_date,
        {%- for count in counts[:5] %}
        {%- for hour_count in hours %}
        sum({{ count }}) over last_{{ hour_count }}h as {{ count }}_{{ hour_count }}h,
        {%- endfor %}
        {%- endfor %}
        sum(departures) over today as departures_today,
        sum(late_15) over today as late_15_today,
        sum(waiting) over so_far as waiting,
        sum(waiting_15) over so_far as waiting_15
    from counts
    window
        {%- for hour_count in hours %}
        last_{{ hour_count }}h as (
            partition by {{ keys | join(', ') }} order by as_of_second
            range between {{ hour_count * 3600 - 1 }} preceding and current row
        ),
        {%- endfor %}
        today as (
            partition by {{ keys | join(', ') }}, {{ local_date('timestamp_seconds(as_of_second - 10800)') }}
            order by as_of_second rows between unbounded preceding and current row
        ),
        so_far as (
            partition by {{ keys | join(', ') }} order by as_of_second
            rows between unbounded preceding and current row
        )
),

departure_windows as (
    select * from windows
    where as_of_date is not null
)
{%- endmacro %}
