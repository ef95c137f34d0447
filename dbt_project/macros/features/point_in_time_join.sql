{#-
  What was known at a row's instant: for each row of a spine, the last row of each feature table with the same key
  whose time is not later than the spine's. docs/dbt.md draws an example.

  One union, one sort, one pass: the rows of the spine and of all the feature tables of one key are sorted by time, and
  each spine row takes the last feature row before it. O(N log N) however many rows a key has, where a range join
  pairs them all.

  Args:
    spine: relation or CTE; all its columns are kept.
    spine_time: its column with the instant to look back from.
    keys: {column of the spine: column of the feature tables}, or a list of names that agree.
    features: list of
        from      relation or CTE
        time      its column that says when a row was known
        time_as   name of that time in the result, for the known_by test
        columns   {column: name in the result}, or a list of columns
        max_age   SQL interval, as 'interval 6 hours': older rows count as unknown (optional)

  Rules:
    - A feature row at exactly the spine's instant is known.
    - Of two feature rows with the same key and time the greater wins, compared column by column in the order given
      (NULL is least): the same one on every run.
    - The last row is taken whole: where it holds NULL the result is NULL, never an older row's value.
    - A spine row without a key, or without a feature row young enough, gets NULLs.
-#}
{% macro point_in_time_join(spine, spine_time, keys, features) -%}
  {%- set keys = _named(keys) -%}
  select
    _spine.*
    {%- for feature in features %}
    {%- set last = '_last_' ~ loop.index %},
    {{ last }}._at as {{ feature.time_as }}
    {%- for column, name in _named(feature.columns).items() %},
    {{ last }}.{{ column }} as {{ name }}
    {%- endfor %}
    {%- endfor %}
  from (
    select
      _spine,
      _is_spine
      {%- for feature in features %}
      {%- set last = '_last_' ~ loop.index %},
      {{ 'if(' ~ last ~ '._at >= _at - ' ~ feature.max_age ~ ', ' ~ last ~ ', null)' if feature.max_age else last }}
        as {{ last }}
      {%- endfor %}
    from (
      select
        *
        {%- for feature in features %},
        {#- Packed as one value, so that ignoring absent rows does not skip the NULLs within a row. #}
        last_value(_feature_{{ loop.index }}, true) over _known as _last_{{ loop.index }}
        {%- endfor %}
      from (
        select
          {%- for key in keys %}
          {{ key }} as _key_{{ loop.index }},
          {%- endfor %}
          {#- Rows without a key see nothing; apart from each other, they are no one task's burden. #}
          if({{ keys | join(' is null or ') }} is null, xxhash64(s.*), 0) as _apart,
          {{ spine_time }} as _at,
          1 as _is_spine,
          struct(s.*) as _spine
          {%- for feature in features %},
          null as _feature_{{ loop.index }}
          {%- endfor %}
        from {{ spine }} as s
        {%- for feature in features %}
        {%- set number = loop.index %}
        union all
        select
          {%- for key in keys.values() %}
          {{ key }},
          {%- endfor %}
          0,
          {{ feature.time }},
          0,
          null
          {%- for other in features %},
          {%- if loop.index == number %}
          struct({{ feature.time }} as _at, {{ _named(feature.columns).keys() | join(', ') }})
          {%- else %}
          null
          {%- endif %}
          {%- endfor %}
        from {{ feature['from'] }}
        where {{ keys.values() | join(' is not null and ') }} is not null
        {%- endfor %}
      )
      window _known as (
        partition by {% for key in keys %}_key_{{ loop.index }}, {% endfor %}_apart
        order by _at, _is_spine{% for feature in features %}, _feature_{{ loop.index }}{% endfor %}
        rows between unbounded preceding and current row
      )
    )
  )
  where _is_spine = 1
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
