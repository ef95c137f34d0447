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
    entity: column of int_flights that the windows are taken for, such as origin_code.
  Makes the CTEs of a model up to `departure_windows`, with the columns entity, as_of, as_of_date and
    departures_1h, _3h      flights whose lateness by 15 became known in the last hours; late_15_1h, _3h: those late
    measured_1h, _3h        flights whose clipped delay became known; clipped_delay_1h, _3h: its sum in minutes;
                            late_30_1h, _3h: those late by 30
    waiting, waiting_15     flights past their schedule and not known to have left, and those 15 minutes past it
-#}
{% macro departure_windows(entity) -%}
{%- set step = var('grid_minutes', 15) * 60 -%}
{%- set counts = ['departures', 'late_15', 'measured', 'clipped_delay', 'late_30', 'waiting', 'waiting_15'] -%}
flights as (
    select
        flight_id,
        flight_date,
        {{ entity }} as entity,
        sched_dep_at
    from {{ ref('int_flights') }}
    where {{ in_days('flight_date', before=1) }}
),

reports as (
    select
        flight_id,
        event_type,
        known_at,
        delay_minutes
    from {{ ref('int_flight_events') }}
    where
        {{ in_days('known_date', before=1) }}
        and event_type in ('departed', 'cancelled')
),

known_departures as (
    select
        flights.flight_id,
        flights.entity,
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
    group by flights.flight_id, flights.entity, flights.sched_dep_at
),

facts as (
    select
        entity,
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
        entity,
        explode(array(flight_date, date_add(flight_date, 1))) as as_of_date
    from flights
),

grid as (
    select
        entity,
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
        entity,
        (unix_seconds(known_at) + {{ step - 1 }}) div {{ step }} * {{ step }} as as_of_second,
        cast(null as date) as as_of_date,
        {{ counts | join(',\n        ') }}
    from facts
    union all
    select
        grid.entity,
        unix_seconds(grid.as_of) as as_of_second,
        grid.as_of_date,
        {% for count in counts %}0 as {{ count }}{{ ', ' if not loop.last }}{% endfor %}
    from grid
    cross join {{ ref('stg_delivery_watermark') }} as watermark
    -- A delivery until an instant holds what became known before it, not at it.
    where grid.as_of < watermark.delivered_until
),

counts as (
    select
        entity,
        as_of_second,
        max(as_of_date) as as_of_date,
        {%- for count in counts %}
        sum({{ count }}) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from instants
    group by entity, as_of_second
),

windows as (
    select
        entity,
        timestamp_seconds(as_of_second) as as_of,
        as_of_date,
        {%- for count in counts[:5] %}
        sum({{ count }}) over last_1h as {{ count }}_1h,
        sum({{ count }}) over last_3h as {{ count }}_3h,
        {%- endfor %}
        sum(waiting) over so_far as waiting,
        sum(waiting_15) over so_far as waiting_15
    from counts
    window
        last_1h as (
            partition by entity order by as_of_second range between 3599 preceding and current row
        ),
        last_3h as (
            partition by entity order by as_of_second range between 10799 preceding and current row
        ),
        so_far as (
            partition by entity order by as_of_second rows between unbounded preceding and current row
        )
),

departure_windows as (
    select * from windows
    where as_of_date is not null
)
{%- endmacro %}
