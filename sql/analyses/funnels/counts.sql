-- How many actors, sessions or attempts take each step of a funnel. `continued` are those who take it on the way from an
-- earlier step, and the median is of the time from the start of their best attempt to where it first took the step, or,
-- where that leaves the step out, to where they first took it.
-- grain: step_index
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, first_day DATE, last_day DATE, first_read DATE, last_read DATE,
--   pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>, pair_within_us ARRAY<INT64>,
--   pair_conditions ARRAY<INT64>, reach_us INT64, leaf_measures ARRAY<STRING>, leaf_lows ARRAY<INT64>,
--   leaf_highs ARRAY<INT64>, leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>, leaf_gathers ARRAY<INT64>,
--   leaf_steps ARRAY<INT64>, leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>, trait_leaves ARRAY<INT64>,
--   trait_kinds ARRAY<STRING>, trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>, visit_leaves ARRAY<INT64>,
--   visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   as_of TIMESTAMP
-- structure: funnel
{% from 'analyses/funnels/_unit.sql' import unit, is_continued, same_unit with context %}
{% from 'analyses/funnels/_orders.sql' import order_of with context %}
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{# Nothing limits how far a step may look back but its start, and a unit has one way to a step at a moment. #}
{% set is_direct = funnel.is_plain and not funnel.hold %}
{% if is_direct %}
firsts AS (
  SELECT
    {{ unit }},
    r.step_index,
    MIN(r.event_order) AS step_order,
    ANY_VALUE(r.start_order HAVING MIN r.event_order) AS began_order
  FROM reached AS r
  WHERE r.step_index > 1
  GROUP BY {{ unit }}, r.step_index
),

best_starts AS (
  SELECT {{ unit }}, ANY_VALUE(r.began_order HAVING MAX r.step_index) AS began_order
  FROM firsts AS r
  GROUP BY {{ unit }}
),

{% else %}
{% include 'analyses/funnels/_ways.sql' %}
,

{% endif %}
{# Who takes a later step of a closed funnel without optional ones has all before it on its way. #}
{% set is_complete = not (funnel.is_open or funnel.way_options) %}
units AS (
  SELECT r.step_index, COUNT(*) AS units{% if funnel.is_open %}, COUNTIF(r.is_continued) AS continued{% endif %}

  FROM (
    SELECT r.step_index, {{ unit }}{% if funnel.is_open %}, LOGICAL_OR({{ is_continued }}) AS is_continued{% endif %}

    FROM reached AS r
    {% if is_complete %}
    WHERE r.step_index = 1
    {% endif %}
    GROUP BY r.step_index, {{ unit }}
  ) AS r
  GROUP BY r.step_index
),

{% if is_direct %}
first_reached AS (
  SELECT r.step_index, DIV((r.step_order), 1000) - DIV((r.began_order), 1000) AS elapsed_us
  FROM (
    SELECT f.step_index, f.step_order, f.began_order
    FROM firsts AS f
    INNER JOIN best_starts AS b ON {{ same_unit('b', 'f') }}
    WHERE f.began_order = b.began_order
    UNION ALL
    {# The unit had taken the step before, on a way that led less far. #}
    SELECT f.step_index, MIN(r.event_order) AS step_order, ANY_VALUE(b.began_order) AS began_order
    FROM firsts AS f
    INNER JOIN best_starts AS b ON {{ same_unit('b', 'f') }}
    INNER JOIN reached AS r
      ON {{ same_unit('r', 'b') }} AND r.start_order = b.began_order AND r.step_index = f.step_index
    WHERE f.began_order != b.began_order
    GROUP BY {% for column in funnel.unit_columns %}b.{{ column | identifier }}, {% endfor %}f.step_index
  ) AS r
),

{% else %}
{% if is_complete %}first_reached{% else %}on_ways{% endif %} AS (
  SELECT
    {% if not is_complete %}
    {{ unit }},
    {% endif %}
    r.step_index,
    DIV((r.step_order), 1000) - DIV((r.began_order), 1000) AS elapsed_us
  FROM (
    SELECT {% if not is_complete %}{{ unit }}, {% endif %}place AS step_index, r.start_order AS began_order, {{ order_of('place') }} AS step_order
    FROM ways AS r
    CROSS JOIN UNNEST(GENERATE_ARRAY(2, {{ funnel.steps }})) AS place
    {% if funnel.is_open %}
    WHERE place > r.entry
    {% endif %}
  ) AS r
  WHERE r.step_order IS NOT NULL
),

{% if not is_complete %}
{# Steps that the best attempt leaves out, where the unit first took them. #}
elsewhere AS (
  {% if funnel.hold %}
  SELECT r.*, DIV((r.event_order), 1000) - DIV((r.start_order), 1000) AS elapsed_us
  FROM reached AS r
  WHERE {{ is_continued }}
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {{ unit }}, r.step_index ORDER BY r.event_order, r.start_order DESC) = 1
  {% else %}
  SELECT
    {{ unit }},
    r.step_index,
    DIV((MIN(r.event_order)), 1000) - DIV((ANY_VALUE(r.start_order HAVING MIN r.event_order)), 1000) AS elapsed_us
  FROM reached AS r
  WHERE {{ is_continued }}
  GROUP BY {{ unit }}, r.step_index
  {% endif %}
),

first_reached AS (
  SELECT o.step_index, o.elapsed_us
  FROM on_ways AS o
  UNION ALL
  SELECT e.step_index, e.elapsed_us
  FROM elsewhere AS e
  LEFT JOIN on_ways AS o ON {{ same_unit('o', 'e') }} AND o.step_index = e.step_index
  WHERE o.unit_key IS NULL
),

{% endif %}
{% endif %}
{% include 'analyses/funnels/_medians.sql' %}

{% if is_complete %}
SELECT u.step_index, u.units, 0 AS continued, 0.0 AS seconds_median
FROM units AS u
UNION ALL
SELECT m.step_index, m.units, m.units AS continued, m.seconds_median
FROM medians AS m
ORDER BY step_index
{% else %}
SELECT
  u.step_index,
  u.units,
  {% if funnel.is_open %}u.continued{% else %}IF(u.step_index = 1, 0, u.units) AS continued{% endif %},
  {% if funnel.is_open %}m.seconds_median{% else %}IF(u.step_index = 1, 0.0, m.seconds_median) AS seconds_median{% endif %}

FROM units AS u
LEFT JOIN medians AS m ON m.step_index = u.step_index
ORDER BY u.step_index
{% endif %}
