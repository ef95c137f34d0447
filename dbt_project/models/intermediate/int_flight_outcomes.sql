{{
    config(
        event_date='known_date',
        inputs=[
            {'model': 'int_flight_events', 'lookback': 3},
            {'model': 'int_flights', 'lookback': 3},
        ],
    )
}}

with

flights as (
    select * from {{ days_of('int_flights') }}
),

-- What is reported later than this changes a label, and no history: a flight counts once, as it first
-- became known, and nothing further back has to be read.
reports as (
    select * from {{ days_of('int_flight_events') }}
    where known_at <= sched_dep_at + interval 48 hours
),

first_arrivals as (
    select
        flight_id,
        min(struct(known_at, known_date, delay_minutes, air_time_minutes)) as arrival
    from reports
    where event_type = 'arrived'
    group by flight_id
),

last_departures as (
    select
        first_arrivals.flight_id,
        max_by(reports.delay_minutes, struct(reports.known_at, reports.delay_minutes)) as dep_delay_minutes
    from first_arrivals
    inner join reports on first_arrivals.flight_id = reports.flight_id
    where
        reports.event_type = 'departed'
        and reports.known_at <= first_arrivals.arrival.known_at
    group by first_arrivals.flight_id
)

select
    flights.flight_id,
    flights.flight_date,
    first_arrivals.arrival.known_at,
    first_arrivals.arrival.known_date,
    flights.carrier_code,
    flights.flight_code,
    flights.origin_code,
    flights.dest_code,
    flights.dest_region,
    flights.departure_band,
    last_departures.dep_delay_minutes,
    first_arrivals.arrival.delay_minutes as arr_delay_minutes,
    first_arrivals.arrival.delay_minutes - last_departures.dep_delay_minutes as en_route_delay_minutes,
    first_arrivals.arrival.air_time_minutes - cast(flights.distance_miles * 10 div 76 as int)
        as air_time_excess_minutes
from first_arrivals
inner join flights on first_arrivals.flight_id = flights.flight_id
left join last_departures on first_arrivals.flight_id = last_departures.flight_id
where {{ in_days('first_arrivals.arrival.known_date') }}
