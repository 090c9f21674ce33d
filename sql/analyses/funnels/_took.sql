{# CTE `took`: which steps a unit took, and whether on the way from an earlier one. #}
{% from 'analyses/funnels/_unit.sql' import unit, is_continued with context %}
took AS (
  SELECT {{ unit }}, r.step_index, LOGICAL_OR({{ is_continued }}) AS is_continued
  FROM reached AS r
  GROUP BY {{ unit }}, r.step_index
)
