{{
    config(
        event_date='flight_date',
        inputs=[
            {'source': 'flight_schedule', 'as': 'stg_flight_schedule', 'day': 'flight_date', 'lookback': 1},
            {'source': 'airports', 'as': 'stg_airports', 'day': local_date('published_at'), 'lookback': 'all'},
        ],
    )
}}

with

schedule as (
    select * from {{ days_of('stg_flight_schedule') }}
),

airports as (
    select * from {{ days_of('stg_airports') }}
),

seeded_time_zones as (
    select * from {{ ref('airport_time_zones') }}
),

with_destination as (
    {{
        point_in_time_join(
            spine='schedule',
            spine_key=['flight_id'],
            spine_time='known_at',
            joins=[{
                'keys': {'dest_code': 'airport_code'},
                'features': [{
                    'from': 'airports',
                    'time': 'known_at',
                    'time_as': 'dest_known_at',
                    'columns': {'time_zone': 'published_time_zone', 'latitude': 'dest_latitude'},
                }],
            }],
        )
    }}
),

with_time_zone as (
    select
        flights.*,
        {{ usual_duration_minutes('flights.distance_miles') }} as usual_duration_minutes,
        coalesce(flights.published_time_zone, seeded_time_zones.time_zone) as dest_time_zone
    from with_destination as flights
    left join seeded_time_zones on flights.dest_code = seeded_time_zones.airport_code
),

-- The schedule names the destination's clock, not the day: of the days around it, the one that makes the
-- duration most plausible. Local times that a change of the clock skips are read an hour later, repeated ones
-- as the first.
arrivals as (
    select
        *,
        array_min(transform(
            sequence(-1, 2),
            days -> named_struct(
                'error_minutes', abs(
                    {{ minutes_between('sched_dep_at', arrival_on('days')) }} - usual_duration_minutes
                ),
                'days', days,
                'sched_arr_at', {{ arrival_on('days') }}
            )
        )).sched_arr_at as sched_arr_at
    from with_time_zone
),

with_previous_flight as (
    select
        *,
        lag(struct(flight_id, sched_dep_at, sched_arr_at, usual_duration_minutes)) over (
            partition by tail_number, if(tail_number is null, flight_id, null)
            order by sched_dep_at, flight_id
        ) as previous
    from arrivals
),

-- Flights here leave from New York: between two of them the aircraft flies back, as long as the way out.
with_slack as (
    select
        *,
        {{ minutes_between('previous.sched_arr_at', 'sched_dep_at') }}
        - previous.usual_duration_minutes as slack_minutes
    from with_previous_flight
),

-- The tail number is the aircraft that flew. A link that the schedule makes impossible is a swap made later,
-- and would tell the future.
with_link as (
    select
        *,
        slack_minutes >= 30 and sched_dep_at <= previous.sched_dep_at + interval 20 hours as is_linked
    from with_slack
)

select
    flight_id,
    flight_date,
    carrier_code,
    flight_number,
    concat(carrier_code, flight_number) as flight_code,
    tail_number,
    origin_code,
    dest_code,
    -- Storms and jet streams reach a part of the country, not an airport.
    concat(dest_time_zone, if(dest_latitude >= 38, ', north', ', south')) as dest_region,
    distance_miles,
    sched_dep_at,
    cast(hour({{ local_time('sched_dep_at') }}) div 4 as int) as departure_band,
    sched_arr_at,
    {{ minutes_between('sched_dep_at', 'sched_arr_at') }} as planned_duration_minutes,
    usual_duration_minutes,
    sched_dep_at - interval 2 hours as predict_at,
    known_at as schedule_known_at,
    if(is_linked, previous.flight_id, null) as previous_flight_id,
    if(is_linked, previous.sched_dep_at, null) as previous_sched_dep_at,
    if(is_linked, slack_minutes, null) as previous_slack_minutes
from with_link
where {{ in_days('flight_date') }}
