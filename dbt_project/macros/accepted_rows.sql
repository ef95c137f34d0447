{#-
  The rows of a bronze source that keep every row rule of its YAML; the gate quarantines the others. Those of a delivery
  that a later one superseded by name are read by nobody: a view asks the ledger, a build has asked it already.
-#}
{% macro accepted_rows(table_name, source_name='bronze') -%}
  {%- set rules = {} -%}
  {%- if execute -%}
    {%- for node in graph.sources.values()
        if node.source_name == source_name and node.name == table_name -%}
      {%- do rules.update(node.config.get('meta', {}).get('row_rules', {})) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- set superseded = superseded_batches(table_name, source(source_name, 'deliveries')) -%}
  (
    select * from {{ source(source_name, table_name) }}
    where
      true
      {%- for condition in rules.values() %}
      and coalesce({{ condition }}, false)
      {%- endfor %}
      {%- if superseded %}
      and _batch_id not in ({{ superseded }})
      {%- endif %}
  )
{%- endmacro %}

{#- The batches of a source that were superseded, as a list or a select; nothing where there is none, or no ledger. -#}
{% macro superseded_batches(table_name, ledger) -%}
  {%- if execute and model is defined and model.resource_type in ['model', 'snapshot']
      and flags.WHICH not in ['parse', 'list'] and not flags.EMPTY -%}
    {%- do return(this_build().superseded(table_name, ledger | string, not reads_pinned())) -%}
  {%- endif -%}
{%- endmacro %}
