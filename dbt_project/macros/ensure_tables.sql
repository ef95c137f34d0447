{#-
  Makes the tables that models read but dbt does not build, empty, so that a first build works before the first
  score was made. One commit, once.
-#}
{% macro ensure_tables() -%}
  {%- if execute and flags.WHICH in ['run', 'build', 'test', 'seed', 'snapshot', 'retry', 'clone'] -%}
    {%- set schema = var('predictions_schema') -%}
    {%- set predictions = api.Relation.create(schema=schema, identifier='arrival_delay', type='table') -%}
    {%- if adapter.get_relation(none, schema, 'arrival_delay') is none -%}
      {%- do run_query('create schema if not exists ' ~ schema) -%}
      {%- call statement('ensure_predictions') -%}
        create table if not exists {{ predictions }} (
          flight_id string comment 'The flight that was scored',
          predict_at timestamp comment 'The instant whose knowledge the score uses',
          flight_date date comment 'Local date of the scheduled departure',
          score double comment 'Probability of arriving 15 or more minutes late',
          missing_features int comment 'How many features were NULL or NaN',
          unseen_categories string comment 'Categorical features with a value that training had not, or too rarely',
          model_name string comment 'Registered model',
          model_version string comment 'Its version',
          features_table string comment 'Table that the features were read from',
          features_table_id string comment 'Its Delta table id',
          features_version bigint comment 'Its Delta version',
          scored_at timestamp comment 'When the score was made',
          prediction_id string comment 'Hash of flight, model version and score'
        )
        using delta
        cluster by (flight_date)
        tblproperties ({{ delta_properties() }})
      {%- endcall -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
