-- Actors that the rule of a segment holds for at as_of, what happened later left out; with the user id when the actor is a
-- user. Occurrences with the same transaction id count once, at the earliest.
-- grain: actor_key
-- params: pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>, pair_within_us ARRAY<INT64>,
--   pair_conditions ARRAY<INT64>, reach_us INT64, leaf_measures ARRAY<STRING>, leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>,
--   leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>, leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>,
--   leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>, trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>,
--   trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>, visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, as_of TIMESTAMP
-- structure: rule
{% from 'segments/_matching.sql' import matching with context %}
WITH
{{ matching(rule) }}
,

-- Whom the export does not know, another system may.
known_users AS (
  SELECT s.actor_key, s.user_id
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id IS NOT NULL
  UNION ALL
  SELECT e.user_key AS actor_key, e.user_id
  FROM {{ relation('mc_external_events') }} AS e
  WHERE e.user_id IS NOT NULL
),

users AS (
  SELECT k.actor_key, MIN(k.user_id) AS user_id
  FROM known_users AS k
  GROUP BY k.actor_key
)

SELECT m.actor_key, u.user_id
FROM matching AS m
LEFT JOIN users AS u ON u.actor_key = m.actor_key
ORDER BY m.actor_key
