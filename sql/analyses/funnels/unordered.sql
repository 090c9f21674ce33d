-- How many actors or sessions take any k of the steps of a funnel (step_index is k), in any order within the window, each
-- step by another event; and the median time that took where they first did.
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
WITH
{% include 'analyses/funnels/_unordered.sql' %}
,

{% include 'analyses/funnels/_medians.sql' %}

SELECT m.step_index, m.units, 0 AS continued, m.seconds_median
FROM medians AS m
ORDER BY m.step_index
