-- How many actors, sessions or attempts take each step of a funnel. `continued` are those who take it on the way from an
-- earlier step, and the median is of the time since that way began, where they first take it.
-- grain: step_index
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, first_day DATE, last_day DATE, first_read DATE, last_read DATE, did STRING, not_did STRING,
--   at_least INT64, within_us INT64, as_of TIMESTAMP
-- structure: funnel
{% from 'analyses/funnels/_unit.sql' import unit, is_continued with context %}
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{# Others than these came in on the way from an earlier step, and are in `first_reached`. #}
units AS (
  SELECT r.step_index, COUNT(*) AS units
  FROM (
    SELECT r.step_index, {{ unit }}
    FROM reached AS r
    {% if not funnel.is_open %}
    WHERE r.step_index = 1
    {% endif %}
    GROUP BY r.step_index, {{ unit }}
  ) AS r
  GROUP BY r.step_index
),

first_reached AS (
  SELECT
    r.step_index,
    DIV((MIN(r.event_order)), 1000) - DIV((ANY_VALUE(r.start_order HAVING MIN r.event_order)), 1000) AS elapsed_us
  {% if funnel.hold and funnel.unit_columns == ['unit_key'] %}
  {# Two held values may lead to a step at one moment: the way that began last counts. #}
  FROM (
    SELECT r.step_index, {{ unit }}, r.event_order, MAX(r.start_order) AS start_order
    FROM reached AS r
    WHERE {{ is_continued }}
    GROUP BY r.step_index, {{ unit }}, r.event_order
  ) AS r
  {% else %}
  FROM reached AS r
  WHERE {{ is_continued }}
  {% endif %}
  GROUP BY r.step_index, {{ unit }}
),

{% include 'analyses/funnels/_medians.sql' %}

{% if funnel.is_open %}
SELECT u.step_index, u.units, COALESCE(m.units, 0) AS continued, m.seconds_median
FROM units AS u
LEFT JOIN medians AS m ON m.step_index = u.step_index
ORDER BY u.step_index
{% else %}
SELECT u.step_index, u.units, 0 AS continued, 0.0 AS seconds_median
FROM units AS u
UNION ALL
SELECT m.step_index, m.units, m.units AS continued, m.seconds_median
FROM medians AS m
ORDER BY step_index
{% endif %}
