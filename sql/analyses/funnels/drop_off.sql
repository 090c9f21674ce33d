-- Where those went who took a step of a funnel and no later one: by step and place the micro-conversions that came next,
-- a place for each that follows (NULL: nothing does). Place 0 holds all who were lost after the step: how many of
-- them did nothing more in that session (`left_session`), and how many came back in a later one (`returned`).
-- grain: step_index, place, micro_conversion
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, first_day DATE, last_day DATE, first_read DATE, last_read DATE,
--   most_next INT64, pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>,
--   pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>, reach_us INT64, leaf_measures ARRAY<STRING>,
--   leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>, leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>,
--   leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>, leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>,
--   trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>, trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>,
--   visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   as_of TIMESTAMP
-- structure: funnel
{% from 'analyses/funnels/_unit.sql' import unit with context %}
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{# The furthest step of a unit, and where it was first taken. #}
ends AS (
  SELECT r.step_index, r.event_order, r.client_key, r.actor_key, r.session_key
  FROM reached AS r
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY {{ unit }} ORDER BY r.step_index DESC, r.event_order, r.client_key, r.micro_conversion
    ) = 1
),

lost AS (
  SELECT e.*, ROW_NUMBER() OVER (ORDER BY e.actor_key, e.event_order, e.client_key, e.step_index) AS unit_number
  FROM ends AS e
  WHERE e.step_index < {{ funnel.steps }}
),

journeys AS (
  SELECT
    m.actor_key,
    m.session_key,
    m.client_key,
    m.event_order,
    m.micro_conversion,
    ROW_NUMBER() OVER (
      PARTITION BY m.actor_key ORDER BY m.event_order, m.client_key, m.micro_conversion
    ) AS number,
    MAX(m.event_order) OVER (PARTITION BY m.session_key) AS last_of_session
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN (SELECT DISTINCT l.actor_key FROM lost AS l) AS l ON l.actor_key = m.actor_key
),

{# What else the event of the step is comes no later than the step. #}
events AS (
  SELECT
    j.actor_key,
    j.client_key,
    j.event_order,
    MAX(j.number) AS number,
    MAX(j.last_of_session) AS last_of_session
  FROM journeys AS j
  GROUP BY j.actor_key, j.client_key, j.event_order
),

returns AS (
  SELECT s.actor_key, MAX(s.started_at) AS last_started_at
  FROM {{ relation('mc_sessions') }} AS s
  GROUP BY s.actor_key
),

placed AS (
  SELECT
    l.unit_number,
    l.step_index,
    l.actor_key,
    e.number,
    l.session_key IS NOT NULL AND e.last_of_session = l.event_order AS left_session,
    COALESCE(UNIX_MICROS(r.last_started_at) > DIV((l.event_order), 1000), FALSE) AS returned
  FROM lost AS l
  INNER JOIN events AS e
    ON e.actor_key = l.actor_key AND e.client_key = l.client_key AND e.event_order = l.event_order
  LEFT JOIN returns AS r ON r.actor_key = l.actor_key
),

nexts AS (
  SELECT p.unit_number, p.step_index, p.actor_key, p.number + place AS number, place
  FROM placed AS p
  CROSS JOIN UNNEST(GENERATE_ARRAY(1, @most_next)) AS place
)

SELECT
  p.step_index,
  0 AS place,
  CAST(NULL AS STRING) AS micro_conversion,
  COUNT(*) AS units,
  COUNTIF(p.left_session) AS left_session,
  COUNTIF(p.returned) AS returned
FROM placed AS p
GROUP BY p.step_index
UNION ALL
SELECT n.step_index, n.place, j.micro_conversion, COUNT(*), NULL, NULL
FROM nexts AS n
LEFT JOIN journeys AS j ON j.actor_key = n.actor_key AND j.number = n.number
GROUP BY n.step_index, n.place, j.micro_conversion
ORDER BY step_index, place, units DESC, micro_conversion
