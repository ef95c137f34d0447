{#-
  How a model knows which of its days to compute: the one place where it is decided.

  Each commit of an incremental table carries a note (Delta's userMetadata, which lands with the rows or not at all):

      {"days": [["2013-09-03", "2013-09-05"]],            the days that it replaced, or "all"
       "read": {"bronze.flight_actuals": {"version": 41, "at": "…"},    the version of each input that it saw, and
                "int_flights": {"version": 7, "at": "…"}},              when that was committed
       "watermark": {"until": "…", "day": "2013-09-05"}}  and the delivery watermark, where the model keeps to it

  A model's config says what it reads and which of its own days a day there reaches:

      reached_by=[
        {'source': 'flight_schedule', 'day': 'flight_date', 'after': 1},
        {'model': 'int_flight_events', 'day': 'flight_date'},
      ]

  source / model   what the model reads; nothing else may change its rows
  day              SQL over the input for the day reached; for a model its own day column, if left out
  staged           for a preview: the view in which the model's rows to come can be seen, where `day` is given
  before, after    days earlier and later that are reached too; `after: 'open'` is all later ones

  The days to compute are those reached by bronze rows that the noted version did not hold, and by the days that the
  input tables' own commits replaced since the noted version. A table read as published counts by its published
  version. An input that was made anew, or changed by anything but its model, reaches everything. What is new is
  looked up before the rows are read, so what lands in between is found again next time: twice, never not at all.

  Args:
    settings: the model's config.
    full_refresh: whether the table is made anew.
    planned: for a preview, what the models upstream would replace: {model: {everything, days}}.
  Returns {everything, ranges, note, because: {input: 'all' or the number of its days}}.
-#}
{% macro plan_days(relation, existing, settings, full_refresh, planned=none) -%}
  {%- if flags.EMPTY -%}
    {#- `--empty` looks at SQL and columns: a table that it makes has no note, so the next build computes all of it. -#}
    {%- do return({'everything': false, 'ranges': [], 'because': {}, 'note': ''}) -%}
  {%- endif -%}
  {%- set note = {} -%}
  {%- if existing is not none and existing.is_delta and not existing.is_view and not full_refresh -%}
    {%- set note = last_note(relation) -%}
  {%- endif -%}
  {%- set plan = namespace(everything=(note == {}), read={}, watermark=none, because={}) -%}
  {%- set days = {} -%}

  {%- if settings.get('until_watermark') -%}
    {%- set plan.watermark = current_watermark(of_build=planned is none) -%}
    {%- if not plan.everything and plan.watermark != note.get('watermark') -%}
      {%- for day in days_from_to(
          [note.watermark.day, plan.watermark.day] | min, [note.watermark.day, plan.watermark.day] | max) -%}
        {%- do days.update({day: true}) -%}
      {%- endfor -%}
      {%- do plan.because.update({'delivery watermark': days | length}) -%}
    {%- endif -%}
  {%- endif -%}

  {%- if not settings.get('reached_by') -%}
    {%- do exceptions.raise_compiler_error(
        relation ~ ': the strategy replace_days needs reached_by in the config: what the model reads, and which of its '
        ~ 'days that reaches. docs/dbt.md has an example.') -%}
  {%- endif -%}
  {%- for input in settings.get('reached_by') -%}
    {%- if 'source' in input -%}
      {%- set found = days_of_source(input, note.get('read', {})) -%}
    {%- else -%}
      {%- set gate = (settings.get('meta') or {}).get('gate') -%}
      {%- set found = days_of_model(input, note.get('read', {}), gate, (planned or {}).get(input.model)) -%}
    {%- endif -%}
    {%- do plan.read.update({found.name: found.seen}) -%}
    {%- if found.days -%}
      {%- do plan.because.update({found.name: 'all' if found.days == 'all' else found.days | length}) -%}
    {%- endif -%}
    {%- if found.days == 'all' -%}
      {%- set plan.everything = true -%}
    {%- elif not plan.everything -%}
      {%- for day in found.days -%}
        {%- for reached in reached_days(day, input, plan.watermark) -%}
          {%- do days.update({reached: true}) -%}
        {%- endfor -%}
      {%- endfor -%}
    {%- endif -%}
  {%- endfor -%}

  {%- for day in asked_days() -%}
    {%- do days.update({day: true}) -%}
  {%- endfor -%}

  {%- set kept = [] -%}
  {%- for day in days -%}
    {#- Later days have no row yet: they are reached when the watermark gets there. -#}
    {%- if plan.watermark is none or day <= add_days(plan.watermark.day, 1) -%}
      {%- do kept.append(day) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return({
    'everything': plan.everything,
    'ranges': day_ranges(kept),
    'because': plan.because,
    'note': tojson({
      'days': 'all' if plan.everything else day_ranges(kept),
      'read': plan.read,
      'watermark': plan.watermark,
    }, sort_keys=true),
  }) -%}
{%- endmacro %}

{#-
  The days that this run was asked to compute: vars start_date and end_date, or the environment's
  LAKEHOUSE_START_DATE and LAKEHOUSE_END_DATE. Other vars make dbt parse the whole project anew, the environment
  does not: the graph, whose every run has other days, uses it.
-#}
{% macro asked_days() -%}
  {%- set first = var('start_date') or env_var('LAKEHOUSE_START_DATE', '') -%}
  {%- set last = var('end_date') or env_var('LAKEHOUSE_END_DATE', '') -%}
  {%- do return(days_from_to(first | string, last | string) if first and last else []) -%}
{%- endmacro %}

{#- The days of the model that one day of an input reaches. -#}
{% macro reached_days(day, input, watermark) -%}
  {%- set first = add_days(day, -(input.get('before', 0))) -%}
  {%- if input.get('after', 0) == 'open' -%}
    {#- A year on is past every day that a delivery of today speaks of. -#}
    {%- set last = add_days(watermark.day if watermark else day, 1 if watermark else 366) -%}
  {%- else -%}
    {%- set last = add_days(day, input.get('after', 0)) -%}
  {%- endif -%}
  {%- do return(days_from_to(first, last)) -%}
{%- endmacro %}

{#-
  What is new in a bronze source: {name, seen: {version, at, until}, days: ISO dates or 'all'}.

  New rows are those of the batches that the commits since then name, as ingestion does. Where one names none (another
  writer's), they are those of batches that the version seen last did not hold. A batch's instant of ingestion is taken
  a little before its commit, so of two that land at once the earlier may come later: the last hour is looked at again.
-#}
{% macro days_of_source(input, read) -%}
  {%- set relation = source(input.get('schema', 'bronze'), input.source) -%}
  {%- set name = input.get('schema', 'bronze') ~ '.' ~ input.source -%}
  {%- set instant = input.get('ingested_at', '_ingested_at') -%}
  {%- set batch = input.get('batch', '_batch_id') -%}
  {%- set before = read.get(name) -%}
  {%- set current = adapter.get_relation(none, relation.schema, relation.identifier) -%}
  {%- if current is not none and current.is_view -%}
    {#- A view has no history to ask: a past state pinned by views is built whole. -#}
    {%- do return({'name': name, 'seen': none, 'days': 'all'}) -%}
  {%- endif -%}
  {%- set commits = commits_since(relation, before.version if before else none) -%}
  {%- set seen = {'version': commits[0].version, 'at': commits[0].at} -%}
  {%- set same = commits | selectattr('version', 'equalto', before.version) | selectattr('at', 'equalto', before.at)
      | list if before else [] -%}
  {%- if not same -%}
    {%- do return({'name': name, 'seen': seen, 'days': 'all'}) -%}
  {%- endif -%}
  {%- if seen.version == before.version -%}
    {%- do return({'name': name, 'seen': seen, 'days': []}) -%}
  {%- endif -%}
  {%- set landed = namespace(batches=[], named=true) -%}
  {%- for commit in commits if commit.version > before.version and commit.changes_rows -%}
    {%- set landed.batches = landed.batches + (commit.batches or []) -%}
    {%- set landed.named = landed.named and commit.batches is not none -%}
  {%- endfor -%}
  {%- set since = "timestamp'" ~ before.at ~ "' - interval 1 hour" -%}
  {%- if landed.named -%}
    {%- set is_new = batch ~ " in ('" ~ landed.batches | unique | join("', '") ~ "')" -%}
  {%- else -%}
    {%- set is_new = instant ~ " > " ~ since ~ " and " ~ batch ~ " not in (select " ~ batch ~ " from " ~ relation
      ~ " version as of " ~ before.version ~ " where " ~ instant ~ " > " ~ since ~ ")" -%}
  {%- endif -%}
  {%- set rows = run_query(
    "select array_join(array_sort(collect_set(cast(" ~ input.day ~ " as string))), ',') as days from " ~ relation
    ~ " where " ~ is_new
  ).rows -%}
  {%- set new_days = (rows[0].days or '') | string -%}
  {%- do return({'name': name, 'seen': seen, 'days': new_days.split(',') if new_days else []}) -%}
{%- endmacro %}

{#-
  What is new in a table of ours: {name, seen: {version, at}, days: ISO dates or 'all'}.

  Args:
    gate: the reader's gate; across gates, production reads what is published.
    ahead: for a preview, {everything, days} that the table would replace first.
-#}
{% macro days_of_model(input, read, gate, ahead=none) -%}
  {%- set table = builtins.ref(input.model) -%}
  {%- set relation = as_read(table, gate) -%}
  {%- set before = read.get(input.model) -%}
  {%- set current = load_relation(table) -%}
  {%- if ahead and ahead.everything -%}
    {%- do return({'name': input.model, 'seen': none, 'days': 'all'}) -%}
  {%- endif -%}
  {%- if current is none -%}
    {%- do exceptions.raise_compiler_error(
        table ~ ' does not exist yet. Build it first, or with this model: `dbt build --select +<model>`.') -%}
  {%- endif -%}
  {%- if current.is_view -%}
    {#- A view has no history to ask: a past state pinned by views is built whole. -#}
    {%- do return({'name': input.model, 'seen': none, 'days': 'all'}) -%}
  {%- endif -%}
  {%- set version = published_version(table) if relation.schema != table.schema else none -%}
  {%- set commits = commits_since(table, before.version if before else none) -%}
  {%- set found = namespace(seen=none, same=false, days={}, everything=false) -%}
  {%- for commit in commits -%}
    {%- if found.seen is none and (version is none or commit.version == version) -%}
      {%- set found.seen = {'version': commit.version, 'at': commit.at} -%}
    {%- endif -%}
    {%- if before and commit.version == before.version and commit.at == before.at -%}
      {%- set found.same = true -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if not found.same or found.seen is none -%}
    {%- do return({'name': input.model, 'seen': found.seen, 'days': 'all'}) -%}
  {%- endif -%}
  {#- A publication taken back lies before what was read last: the days in between changed as well. -#}
  {%- set low = [before.version, found.seen.version] | min -%}
  {%- set high = [before.version, found.seen.version] | max -%}
  {%- for commit in commits if low < commit.version <= high and commit.changes_rows -%}
    {%- if commit.note and commit.note.days != 'all' -%}
      {%- for first, last in commit.note.days -%}
        {%- for day in days_from_to(first, last) -%}
          {%- do found.days.update({day: true}) -%}
        {%- endfor -%}
      {%- endfor -%}
    {%- else -%}
      {%- set found.everything = true -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if found.everything -%}
    {%- set days = 'all' -%}
  {%- elif 'day' in input and found.days -%}
    {%- set days = mapped_days(relation, table, input.day, found.days.keys() | list) -%}
  {%- else -%}
    {%- set days = found.days.keys() | list -%}
  {%- endif -%}
  {%- if ahead and ahead.days and days != 'all' -%}
    {%- if 'day' in input -%}
      {%- set ahead_days = mapped_days(builtins.ref(input.staged), table, input.day, ahead.days) -%}
    {%- else -%}
      {%- set ahead_days = ahead.days -%}
    {%- endif -%}
    {%- set days = (days + ahead_days) | unique | list -%}
  {%- endif -%}
  {%- do return({'name': input.model, 'seen': found.seen, 'days': days}) -%}
{%- endmacro %}

{#- The days that rows of the input's changed days speak of. -#}
{% macro mapped_days(relation, table, expression, days) -%}
  {%- set own = namespace(day=none) -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.alias == table.identifier -%}
    {%- set own.day = node.config.get('day') -%}
  {%- endfor -%}
  {%- set rows = run_query(
    "select array_join(array_sort(collect_set(cast(" ~ expression ~ " as string))), ',') as days from " ~ relation
    ~ " where " ~ ranges_condition(own.day, day_ranges(days))
  ).rows -%}
  {%- set found = (rows[0].days or '') | string -%}
  {%- do return(found.split(',') if found else []) -%}
{%- endmacro %}

{#-
  The delivery watermark: {until, day}.

  Args:
    of_build: as the build sees it; else as a build that starts now would.
-#}
{% macro current_watermark(of_build=true) -%}
  {%- set watermark = ref('stg_delivery_watermark') if of_build
      else '(select cast(' ~ delivery_watermark() ~ ' as timestamp) as delivered_until)' -%}
  {%- set rows = run_query(
    "select 'at ' || cast(delivered_until as string) as until, cast(" ~ local_date('delivered_until') ~ " as string) as day "
    ~ "from " ~ watermark
  ).rows -%}
  {%- if rows | length == 0 or rows[0].until is none -%}
    {%- do exceptions.raise_compiler_error(
        'bronze has no delivery of flight_actuals and weather_observations yet, so no flight is due. '
        ~ 'Ingest first: lakehouse ingest.') -%}
  {%- endif -%}
  {%- do return({'until': rows[0].until, 'day': rows[0].day | string}) -%}
{%- endmacro %}
