{#-
  Every one of these times was known by the row's instant: no feature is later than its predict_at. Returns the rows
  that break it.

  Args:
    column_name: the instant that the row is as of, such as predict_at.
    times: the columns of the stored times; by default those whose meta says whose row's time they are (`row_of`).
-#}
{% test known_by(model, column_name, times=none) %}
{%- set times = times or times_of_rows() %}
select
    {{ column_name }},
    {{ times | join(',\n    ') }}
from {{ model }}
where greatest({{ times | join(', ') }}, {{ column_name }}) > {{ column_name }}
{% endtest %}
