{{
    config(
        event_date='flight_date',
        inputs=[
            {'model': 'flight_features'},
            {'source': 'arrival_delay', 'schema': 'predictions', 'day': 'flight_date'},
            {'source': 'reference', 'schema': 'monitoring', 'day': 'cast(null as date)'},
        ],
    )
}}

{{ feature_drift('flight_features', 'arrival_delay', entity='flight_id', day='flight_date') }}
