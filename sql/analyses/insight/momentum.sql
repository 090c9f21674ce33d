-- How actors move, at the end of each of some weeks: converted, stalled, hesitating, accelerating or steady, with the state a week
-- before (NULL: not known then, or the earliest week) and the furthest stage reached, 1 to 4 (NULL: none). An actor is known from
-- its first occurrence on; nothing after a week counts in it. What is done is counted once a day: each entry by its points. Pace is
-- the points of the last `window_days` days; all days are those of the property. What is usual for everyone (the pause that nine in
-- ten do not exceed, the points that half and three quarters of all active do not exceed) is that of all weeks, and in each row.
-- grain: weeks_ago, state, state_before, stage
-- params: entries ARRAY<STRING>, points ARRAY<INT64>, hesitations ARRAY<STRING>, goals ARRAY<STRING>, weeks_ago ARRAY<INT64>,
--   window_days INT64, end_date DATE, first_date DATE, pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>,
--   pair_places ARRAY<INT64>, pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>,
--   reach_us INT64, leaf_measures ARRAY<STRING>, leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>,
--   leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>, leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>,
--   leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>, trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>,
--   trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>, visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, as_of TIMESTAMP
-- structure: segment
{% from 'segments/_matching.sql' import matching with context %}
WITH
{% if segment %}
{{ matching(segment) }}
,

{% endif %}
{% include 'analyses/insight/_standings.sql' %}
,

{% include 'analyses/insight/_states.sql' %}
,

moves AS (
  SELECT
    s.weeks_ago,
    s.state,
    LAG(s.state) OVER (PARTITION BY s.actor_key ORDER BY s.weeks_ago DESC) AS state_before,
    s.stage,
    s.usual_pause_days,
    s.half,
    s.three_quarters
  FROM states AS s
)

SELECT
  m.weeks_ago,
  m.state,
  m.state_before,
  m.stage,
  COUNT(*) AS actors,
  MAX(m.usual_pause_days) AS usual_pause_days,
  MAX(m.half) AS usual_points,
  MAX(m.three_quarters) AS fast_points
FROM moves AS m
GROUP BY m.weeks_ago, m.state, m.state_before, m.stage
ORDER BY m.weeks_ago, m.state, m.state_before, m.stage
