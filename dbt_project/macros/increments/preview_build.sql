{#-
  What a build would do, without doing it: `lakehouse plan` runs this and adds what Delta's logs say of files.

  Prints a JSON list, one entry a model in the order given: {model, table, builds, day, everything, ranges, because}.
  A model's days follow from what its inputs hold now and from what the models before it would replace; in production
  it is assumed that gated tables pass their checks.

  Args:
    models: unique ids, each after those that it reads.
-#}
{% macro preview_build(models, full_refresh=false) -%}
  {%- set planned = {} -%}
  {%- set shown = [] -%}
  {%- for unique_id in models -%}
    {%- set node = graph.nodes[unique_id] -%}
    {%- set builds = node.config.materialized -%}
    {%- set entry = {'model': node.name, 'table': node.schema ~ '.' ~ node.alias, 'builds': builds, 'day': none,
        'everything': false, 'ranges': [], 'because': {}} -%}
    {%- if builds == 'incremental' and node.config.get('incremental_strategy') == 'replace_days' -%}
      {%- set relation = api.Relation.create(schema=node.schema, identifier=node.alias, type='table') -%}
      {%- set existing = load_relation(relation) -%}
      {%- set plan = plan_days(relation, existing, node.config, full_refresh, planned) -%}
      {%- set days = [] -%}
      {%- for first, last in plan.ranges -%}
        {%- do days.extend(days_from_to(first, last)) -%}
      {%- endfor -%}
      {%- do planned.update({node.name: {'everything': plan.everything, 'days': days}}) -%}
      {%- do entry.update({
        'builds': 'create' if existing is none else 'replace' if full_refresh else 'replace_days',
        'day': node.config.get('day'),
        'everything': plan.everything,
        'ranges': plan.ranges,
        'because': plan.because,
      }) -%}
    {%- endif -%}
    {%- do shown.append(entry) -%}
  {%- endfor -%}
  {%- do print(tojson(shown)) -%}
{%- endmacro %}
