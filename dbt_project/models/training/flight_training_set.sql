{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'flight_features'},
            {'model': 'int_flight_events', 'day': 'flight_date', 'staged': 'stg_flight_events'},
        ],
    )
}}

with

flights as (
    select * from {{ days_of('flight_features') }}
),

outcomes as (
    {{ reported_outcomes() }}
),

label_versions as (
    select
        flight_id,
        known_at as label_known_at,
        lead(known_at) over (partition by flight_id order by known_at) as label_superseded_at,
        arr_delay_minutes
    from outcomes
)

select
    flights.*,
    label_versions.arr_delay_minutes >= 15 as is_late_15,
    label_versions.label_known_at,
    label_versions.label_superseded_at,
    label_versions.arr_delay_minutes
from flights
inner join label_versions on flights.flight_id = label_versions.flight_id
where label_versions.arr_delay_minutes is not null
