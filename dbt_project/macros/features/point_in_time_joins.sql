{#-
  What was known at a row's instant, of entities with different keys: as point_in_time_join, for all keys at once.

  One union, one sort, one pass, however many keys: each row of the spine stands once for each key that it has, beside
  the feature rows of all tables, and takes the last row of its key before it. A join for each key would read and plan
  the spine as often, which for a day's rows costs more than the joins.

  Args:
    spine: relation or CTE; all its columns are kept.
    spine_key: its columns that name a row; no two rows share them.
    spine_time: its column with the instant to look back from.
    joins: list of
        keys      {column of the spine: column of the feature tables}, or a list of names that agree; text, whole
                  numbers or dates
        features  as those of point_in_time_join

  The rules are those of point_in_time_join.
-#}
{% macro point_in_time_joins(spine, spine_key, spine_time, joins) -%}
  {%- set features = [] -%}
  {%- for join in joins -%}
    {%- set kind = loop.index -%}
    {%- for feature in join.features -%}
      {%- do features.append({'of': feature, 'keys': _named(join['keys']), 'kind': kind}) -%}
    {%- endfor -%}
  {%- endfor -%}
  select
    _spine.*
    {%- for feature in features %}
    {%- set last = '_known._last_' ~ loop.index %},
    {{ last }}._at as {{ feature.of.time_as }}
    {%- for column, name in _named(feature.of.columns).items() %},
    {{ last }}.{{ column }} as {{ name }}
    {%- endfor %}
    {%- endfor %}
  from {{ spine }} as _spine
  left join (
    select
      {{ spine_key | join(', ') }}
      {%- for feature in features %}
      {%- set last = '_last_' ~ loop.index %},
      {#- Of a spine row's copies only the one with this table's key has seen its rows: there is one value, or none. #}
      max({{ 'if(' ~ last ~ '._at >= _at - ' ~ feature.of.max_age ~ ', ' ~ last ~ ', null)' if feature.of.max_age else last }})
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
          _key,
          _at,
          1 as _is_spine
          {%- for feature in features %},
          null as _feature_{{ loop.index }}
          {%- endfor %}
        from (
          select
            {{ spine_key | join(', ') }},
            {{ spine_time }} as _at,
            explode(array(
              {%- for join in joins %}
              {%- set columns = _named(join['keys']).keys() | list %}
              if({{ columns | join(' is null or ') }} is null, null, {{ _packed_key(loop.index, columns) }})
              {{- ',' if not loop.last }}
              {%- endfor %}
            )) as _key
          from {{ spine }}
        )
        where _key is not null
        {%- for feature in features %}
        {%- set number = loop.index %}
        {%- set columns = feature['keys'].values() | list %}
        union all
        select
          {% for _ in spine_key %}null, {% endfor %}
          {{ _packed_key(feature.kind, columns) }},
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
        where {{ columns | join(' is not null and ') }} is not null
        {%- endfor %}
      )
      window _before as (
        partition by _key
        order by _at, _is_spine{% for feature in features %}, _feature_{{ loop.index }}{% endfor %}
        rows between unbounded preceding and current row
      )
    )
    where _is_spine = 1
    group by {{ spine_key | join(', ') }}
  ) as _known
    on {% for column in spine_key %}_spine.{{ column }} = _known.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{#- An entity as an array: its parts stay apart, whatever is in them, and so do the entities of different joins. -#}
{% macro _packed_key(kind, columns) -%}
  array('{{ kind }}', {% for column in columns %}cast({{ column }} as string){{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
