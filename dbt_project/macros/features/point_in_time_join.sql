{#-
  What was known at a row's instant: for each row of a spine, the last row of each feature table with the same key
  whose time is not later than the spine's. docs/dbt.md draws an example.

  One union, one sort, one pass, however many tables and keys: each row of the spine stands once for each key that it
  has, beside the feature rows of all tables, and takes the last row of its key before it. O(N log N) however many rows
  a key has, where a range join pairs them all; and the spine is read once, where a join for each key reads and plans
  it as often. A table with rows at the instants of a grid needs no sort (`at`).

  Args:
    spine: relation or CTE; all its columns are kept.
    spine_key: its columns that name a row; no two rows share them.
    spine_time: its column with the instant to look back from.
    joins: list, one entry a key, of
        keys      {column of the spine: column of the feature tables}, or a list of names that agree; text, whole
                  numbers or dates
        features  list of
            from      relation or CTE
            time      its column that says when a row was known
            time_as   name of that time in the result, for the known_by test
            columns   {column: name in the result}, or a list of columns
            max_age   SQL interval, as 'interval 6 hours': older rows count as unknown (optional)
            at        SQL over the spine for the one instant at which the table has the row that counts, if it has any;
                      no two rows share it and a key. Joined by equality (optional)

  Rules:
    - A feature row at exactly the spine's instant is known.
    - Of two feature rows with the same key and time the greater wins, compared column by column in the order given
      (NULL is least): the same one on every run.
    - The last row is taken whole: where it holds NULL the result is NULL, never an older row's value.
    - A spine row without a key, or without a feature row young enough, gets NULLs.
-#}
{% macro point_in_time_join(spine, spine_key, spine_time, joins) -%}
  {%- set sorted_joins, matched, instants = [], [], [] -%}
  {%- for join in joins -%}
    {%- do sorted_joins.append({'keys': join['keys'], 'features': join.features | rejectattr('at', 'defined') | list}) -%}
    {%- for feature in join.features | selectattr('at', 'defined') -%}
      {%- do instants.append(feature['at']) if feature['at'] not in instants -%}
      {%- do matched.append({'of': feature, 'keys': _named(join['keys']), 'instant': '_instant_' ~ (instants.index(feature['at']) + 1)}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- set sorted_joins = sorted_joins | selectattr('features') | list -%}
  {%- if not matched -%}
    {{ _last_rows(spine, spine_key, spine_time, sorted_joins) }}
  {%- else -%}
  select
    _known.* except ({% for _ in instants %}_instant_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %})
    {%- for feature in matched %}
    {%- set row = '_match_' ~ loop.index %},
    {{ row }}.{{ feature.of.time }} as {{ feature.of.time_as }}
    {%- for column, name in _named(feature.of.columns).items() %},
    {{ row }}.{{ column }} as {{ name }}
    {%- endfor %}
    {%- endfor %}
  from (
    select
      *
      {%- for instant in instants %},
      {{ instant }} as _instant_{{ loop.index }}
      {%- endfor %}
    from {{ '(' ~ _last_rows(spine, spine_key, spine_time, sorted_joins) ~ ')' if sorted_joins else spine }}
  ) as _known
  {%- for feature in matched %}
  {%- set row = '_match_' ~ loop.index %}
  left join {{ feature.of['from'] }} as {{ row }}
    on
      {%- for own, its in feature['keys'].items() %}
      _known.{{ own }} = {{ row }}.{{ its }} and
      {%- endfor %}
      _known.{{ feature.instant }} = {{ row }}.{{ feature.of.time }}
      {%- if feature.of.max_age %}
      and _known.{{ feature.instant }} >= _known.{{ spine_time }} - {{ feature.of.max_age }}
      {%- endif %}
  {%- endfor %}
  {%- endif -%}
{%- endmacro %}

{#- The tables whose last row is found by the sort. -#}
{% macro _last_rows(spine, spine_key, spine_time, joins) -%}
  {%- set features = [] -%}
  {%- set widths = [spine_key | length] -%}
  {%- for join in joins -%}
    {%- set kind = loop.index -%}
    {%- set keys = _named(join['keys']) -%}
    {%- do widths.append(keys | length) -%}
    {%- for feature in join.features -%}
      {%- do features.append({'of': feature, 'keys': keys.values() | list, 'kind': kind}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- set width = widths | max -%}
  {#- Of a row's copies the first has the spine's columns, and the one with a table's key has seen its rows. -#}
  {%- set merged = 'max' if joins | length > 1 else '' -%}
  {#- Rows packed as values hide from which column each comes; this says it to whoever draws the columns' lineage
      (lakehouse/lineage/columns.py). -#}
  /* lineage: select _spine.*
    {%- for feature in features %}
    {%- set last = '_last_' ~ loop.index %}, {{ last }}.{{ feature.of.time }} as {{ feature.of.time_as }}
    {%- for column, name in _named(feature.of.columns).items() %}, {{ last }}.{{ column }} as {{ name }}{% endfor %}
    {%- endfor %} from {{ spine }} as _spine
    {%- for feature in features %} cross join {{ feature.of['from'] }} as _last_{{ loop.index }}{% endfor %} */
  select
    _spine.*
    {%- for feature in features %}
    {%- set last = '_last_' ~ loop.index %},
    {{ last }}._at as {{ feature.of.time_as }}
    {%- for column, name in _named(feature.of.columns).items() %},
    {{ last }}.{{ column }} as {{ name }}
    {%- endfor %}
    {%- endfor %}
  from (
    select
      {{ merged }}(_spine) as _spine
      {%- for feature in features %}
      {%- set last = '_last_' ~ loop.index %},
      {{ merged }}({{ 'if(' ~ last ~ '._at >= _at - ' ~ feature.of.max_age ~ ', ' ~ last ~ ', null)' if feature.of.max_age else last }})
        as {{ last }}
      {%- endfor %}
    from (
      select
        *
        {%- for feature in features %},
        {#- Packed as one value, so that ignoring absent rows does not skip the NULLs within a row. #}
        last_value(_feature_{{ loop.index }}, true) over _before as _last_{{ loop.index }}
        {%- endfor %}
      from (
        select
          {{ spine_key | join(', ') }},
          if(_copy = 1, _spine, null) as _spine,
          {{ _key_columns(width) }},
          _kind,
          _at,
          1 as _is_spine
          {%- for feature in features %},
          null as _feature_{{ loop.index }}
          {%- endfor %}
        from (
          select
            {{ spine_key | join(', ') }},
            struct(s.*) as _spine,
            {{ spine_time }} as _at,
            inline(array(
              {%- for join in joins %}
              {%- set columns = _named(join['keys']).keys() | list %}
              {#- Without a key it is an entity of its own: it sees nothing, and is no one task's burden. #}
              if(
                {{ columns | join(' is null or ') }} is null,
                struct({{ loop.index }}, 0, {{ _as_text(spine_key, width) }}),
                struct({{ loop.index }}, {{ loop.index }}, {{ _as_text(columns, width) }})
              )
              {{- ',' if not loop.last }}
              {%- endfor %}
            )) as (_copy, _kind, {{ _key_columns(width) }})
          from {{ spine }} as s
        )
        {%- for feature in features %}
        {%- set number = loop.index %}
        union all
        select
          {% for _ in spine_key %}null, {% endfor %}
          null,
          {{ _as_text(feature['keys'], width) }},
          {{ feature.kind }},
          {{ feature.of.time }},
          0
          {%- for _ in features %},
          {%- if loop.index == number %}
          struct({{ feature.of.time }} as _at, {{ _named(feature.of.columns).keys() | join(', ') }})
          {%- else %}
          null
          {%- endif %}
          {%- endfor %}
        from {{ feature.of['from'] }}
        where {{ feature['keys'] | join(' is not null and ') }} is not null
        {%- endfor %}
      )
      window _before as (
        {#- The kind last: Spark sorts by the first eight bytes of the first column. #}
        partition by {{ _key_columns(width) }}, _kind
        order by _at, _is_spine{% for feature in features %}, _feature_{{ loop.index }}{% endfor %}
        rows between unbounded preceding and current row
      )
    )
    where _is_spine = 1
    {%- if merged %}
    group by {{ spine_key | join(', ') }}
    {%- endif %}
  )
{%- endmacro %}

{#- The columns that hold an entity; the widest key has so many. -#}
{% macro _key_columns(width) -%}
  {% for number in range(1, width + 1) %}_key_{{ number }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{#- A key as text, so that keys of several types and lengths stand in the same columns. -#}
{% macro _as_text(columns, width) -%}
  {% for number in range(width) %}cast({{ columns[number] or 'null' }} as string){{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{#- A list of columns as {column: the same name}; a mapping as it is. -#}
{% macro _named(columns) -%}
  {%- if columns is mapping -%}
    {%- do return(columns) -%}
  {%- endif -%}
  {%- set named = {} -%}
  {%- for column in columns -%}
    {%- do named.update({column: column}) -%}
  {%- endfor -%}
  {%- do return(named) -%}
{%- endmacro %}
