{#- Names, texts and descriptions as Spark's SQL wants them. -#}

{#- A text as a SQL literal, to the letter: quotes, backslashes and what Spark would take for a variable. -#}
{% macro sql_text(text) -%}
  {%- do return(
      "'" ~ (text | string).replace('\\', '\\\\').replace("'", "\\'").replace('${', '\\u0024{') ~ "'") -%}
{%- endmacro %}

{#- A column's name as an identifier, whatever it holds: `7d`, `true`, `null`, dots, backticks. -#}
{% macro quoted(name) -%}
  {%- do return('`' ~ (name | string).replace('`', '``') ~ '`') -%}
{%- endmacro %}

{% macro quoted_names(names) -%}
  {%- set all = [] -%}
  {%- for name in names -%}
    {%- do all.append(quoted(name)) -%}
  {%- endfor -%}
  {%- do return(all | join(', ')) -%}
{%- endmacro %}

{#-
  The description of a column; empty where it has none, or is not to be persisted. A column's case is Spark's own
  affair, unless its YAML says `quote: true`.
-#}
{% macro column_description(name) -%}
  {%- if config.persist_column_docs() -%}
    {%- for column in model.columns.values() -%}
      {%- if column.name == name or (not column.quote and column.name | lower == name | lower) -%}
        {%- do return(column.description | trim) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {%- do return('') -%}
{%- endmacro %}

{#- Columns with their comments, as `create view … (…)` takes them. -#}
{% macro commented_columns(names) -%}
  {%- for name in names %}
    {%- set description = column_description(name) %}
    {{ quoted(name) }}{{ ' comment ' ~ sql_text(description) if description }}{{ ',' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{#- dbt-spark's own leaves a backslash as it is: Spark would take it, and what follows, for something else. -#}
{% macro spark__comment_clause() -%}
  {%- if config.persist_relation_docs() -%}
    comment {{ sql_text(model.description | trim) }}
  {%- endif -%}
{%- endmacro %}
