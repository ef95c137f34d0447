{#-
  Keeps the rows of the days that a run computes, so that a day's increment reads no history.

  Written in a model as a condition: `where {{ in_days('flight_date', before=1) }}`. A full build leaves it true; an
  increment fills in its days, each widened by `before` days back (what a row of the day looks back on) and `after`
  days on. The days stand as literals, so that Delta skips files by them.

  in_days       compares a column of dates
  in_days_of    compares a column of timestamps with the same local days
-#}
{% macro in_days(column, before=0, after=0) -%}
  /* in_days: {{ column }} -{{ before }} +{{ after }} */ true
{%- endmacro %}

{% macro in_days_of(column, before=0, after=0) -%}
  /* in_days_of: {{ column }} -{{ before }} +{{ after }} */ true
{%- endmacro %}

{#- The model's SQL with its in_days conditions filled in for these ranges of days. -#}
{% macro fill_days(sql, ranges) -%}
  {%- set filled = namespace(sql=sql) -%}
  {%- for macro_name, column, before, after in modules.re.findall(
      '/\\* (in_days|in_days_of): (\\S+) -(\\d+) \\+(\\d+) \\*/ true', sql) | unique -%}
    {%- set condition = ranges_condition(
        column, widen_ranges(ranges, before | int, after | int), of_timestamps=(macro_name == 'in_days_of')) -%}
    {%- set filled.sql = filled.sql.replace(
        '/* ' ~ macro_name ~ ': ' ~ column ~ ' -' ~ before ~ ' +' ~ after ~ ' */ true', condition) -%}
  {%- endfor -%}
  {%- do return(filled.sql) -%}
{%- endmacro %}

{#- `(day between … and … or …)`; for timestamps the instants of the same local days. -#}
{% macro ranges_condition(column, ranges, of_timestamps=false) -%}
  {%- set conditions = [] -%}
  {%- for first, last in ranges -%}
    {%- if of_timestamps -%}
      {%- do conditions.append(
          column ~ ' >= ' ~ start_of_day("date'" ~ first ~ "'")
          ~ ' and ' ~ column ~ ' < ' ~ start_of_day("date'" ~ add_days(last, 1) ~ "'")) -%}
    {%- else -%}
      {%- do conditions.append(column ~ " between date'" ~ first ~ "' and date'" ~ last ~ "'") -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return('((' ~ conditions | join(') or (') ~ '))') -%}
{%- endmacro %}

{#- A date in ISO form, so many days later (or earlier). -#}
{% macro add_days(date, days) -%}
  {%- set parsed = modules.datetime.datetime.strptime(date, '%Y-%m-%d') -%}
  {%- do return((parsed + modules.datetime.timedelta(days=days)).strftime('%Y-%m-%d')) -%}
{%- endmacro %}

{#- All dates from first to last, both included. -#}
{% macro days_from_to(first, last) -%}
  {%- set days = [] -%}
  {%- set one = modules.datetime.datetime.strptime(first, '%Y-%m-%d') -%}
  {%- set count = (modules.datetime.datetime.strptime(last, '%Y-%m-%d') - one).days + 1 -%}
  {%- for offset in range(count) -%}
    {%- do days.append((one + modules.datetime.timedelta(days=offset)).strftime('%Y-%m-%d')) -%}
  {%- endfor -%}
  {%- do return(days) -%}
{%- endmacro %}

{#-
  Days as ranges [first, last], in order. Past 40 ranges, one range from the first to the last: more days than
  needed cost time, never rows, and the condition stays short.
-#}
{% macro day_ranges(days) -%}
  {%- set ranges = [] -%}
  {%- for day in days | unique | sort -%}
    {%- if ranges and add_days(ranges[-1][1], 1) == day -%}
      {%- do ranges.append([ranges.pop()[0], day]) -%}
    {%- else -%}
      {%- do ranges.append([day, day]) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(ranges if ranges | length <= 40 else [[ranges[0][0], ranges[-1][1]]]) -%}
{%- endmacro %}

{#- Ranges widened at both ends, and joined where they then touch. -#}
{% macro widen_ranges(ranges, before, after) -%}
  {%- set wider = [] -%}
  {%- for first, last in ranges -%}
    {%- set first = add_days(first, -before) -%}
    {%- set last = add_days(last, after) -%}
    {%- if wider and first <= add_days(wider[-1][1], 1) -%}
      {%- do wider.append([wider.pop()[0], last]) -%}
    {%- else -%}
      {%- do wider.append([first, last]) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(wider) -%}
{%- endmacro %}
