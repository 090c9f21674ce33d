-- A funnel by the day or week (its Monday) on which the units began that took the steps: how many took each. Step 0 holds
-- all of them, and how many are incomplete: they have not taken the last step, and may yet, for their window goes on
-- beyond the latest staged event.
-- grain: period_date, step_index
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, first_day DATE, last_day DATE, first_read DATE, last_read DATE,
--   latest_us INT64, pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>,
--   pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>, reach_us INT64, leaf_measures ARRAY<STRING>,
--   leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>, leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>,
--   leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>, leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>,
--   trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>, trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>,
--   visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   as_of TIMESTAMP
-- structure: funnel, by_week
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{% include 'analyses/funnels/_took.sql' %}
,

{% include 'analyses/funnels/_best.sql' %}
,

began AS (
  SELECT
    {% for column in funnel.unit_columns %}
    b.{{ column | identifier }},
    {% endfor %}
    {% if by_week %}DATE_TRUNC(b.start_date, WEEK(MONDAY)){% else %}b.start_date{% endif %} AS period_date,
    b.step_index < {{ funnel.steps }}
    AND @latest_us - DIV((b.{% if funnel.measured_from == 'last_order' %}event_order{% else %}start_order{% endif %}), 1000) < @window_us AS is_incomplete
  FROM best AS b
)

SELECT b.period_date, 0 AS step_index, COUNT(*) AS units, COUNTIF(b.is_incomplete) AS incomplete
FROM began AS b
GROUP BY b.period_date
UNION ALL
SELECT b.period_date, t.step_index, COUNT(*) AS units, NULL AS incomplete
FROM began AS b
INNER JOIN took AS t
  ON
    {% for column in funnel.unit_columns %}
    {% if not loop.first %}AND {% endif %}t.{{ column | identifier }} = b.{{ column | identifier }}
    {% endfor %}
GROUP BY b.period_date, t.step_index
ORDER BY period_date, step_index
