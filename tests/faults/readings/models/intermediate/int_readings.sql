{{
    config(
        event_date='known_date',
        inputs=[{'source': 'readings', 'as': 'stg_readings', 'day': 'to_date(reported_at)', 'time': 'reported_at'}],
    )
}}

select
    station,
    measured_at,
    measured_date,
    amount,
    known_at,
    known_date
from {{ days_of('stg_readings') }}
