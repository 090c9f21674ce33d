{# Which touches of a path count; import `with context`. It reads `direct`: 'keep'; 'drop_trailing', where direct touches
   after the last other one do not count; or 'drop', where no direct touch does. A path of a window that holds nothing
   but direct touches stays as it is.
   Rows have `is_direct`, `age_us`, their `step` back from the end, and what `told_apart` adds. #}
{% set trims = direct != 'keep' %}

{# CTE `name`: the rows of `steps` with the age and the step of the last touch of their path that is not direct, and with
   their place among the direct or among the other touches. `paths` are the columns that make a path. #}
{% macro told_apart(name, steps, paths) -%}
{% set path %}{% for column in paths %}{% if not loop.first %}, {% endif %}s.{{ column | identifier }}{% endfor %}{% endset %}
{{ name | identifier }} AS (
  SELECT
    s.*,
    MIN(IF(s.is_direct, NULL, s.age_us)) OVER (PARTITION BY {{ path }}) AS other_age_us,
    MIN(IF(s.is_direct, NULL, s.step)) OVER (PARTITION BY {{ path }}) AS other_step,
    ROW_NUMBER() OVER (PARTITION BY {{ path }}, s.is_direct ORDER BY s.step) AS step_of_kind
  FROM {{ steps | identifier }} AS s
),
{%- endmacro %}

{# Whether a touch counts within window n. #}
{% macro counts(row, n) -%}
  {% set window_us = parameter('window_us_', n) -%}
  {{ row }}.age_us <= {{ window_us }}
  {%- if trims %} AND (
      NOT {{ row }}.is_direct OR COALESCE({{ row }}.other_age_us > {{ window_us }}, TRUE)
      {%- if direct == 'drop_trailing' %} OR {{ row }}.step >= {{ row }}.other_step{% endif %}

    )
  {%- endif %}
{%- endmacro %}

{# Its place among those that count, from 1 at the end. #}
{% macro place(row, n) -%}
  {% if direct == 'keep' %}{{ row }}.step
  {%- elif direct == 'drop' %}{{ row }}.step_of_kind
  {%- else %}IF({{ row }}.other_age_us <= {{ parameter('window_us_', n) }}, {{ row }}.step - {{ row }}.other_step + 1, {{ row }}.step)
  {%- endif %}
{%- endmacro %}
