-- What can be known of the momentum of actors at the end of each of some weeks, and whether they did the goal within the next: one cell
-- for all who are alike. Only those count who had not done it by then. `recency_days` is how long they had been silent (60 at most),
-- `active_days` on how many days they were there (20 at most), `points_now` the points of the last `window_days` days and
-- `pace_before` those of all days before, per 7 days (50 at most each), `stage` the furthest reached, 1 to 4 (0: none). States are
-- those of momentum, by what is usual up to `end_date`; the goal counts up to 7 days after it.
-- grain: weeks_ago, state, stage, recency_days, active_days, points_now, pace_before
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

first_goals AS (
  SELECT m.actor_key, MIN(m.event_date) AS goal_date
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.actor_key IS NOT NULL
    AND m.micro_conversion IN UNNEST(@goals)
    AND m.event_date <= DATE_ADD(@end_date, INTERVAL 7 DAY)
    AND (@first_date IS NULL OR m.event_date >= @first_date)
  GROUP BY m.actor_key
),

cells AS (
  SELECT
    s.weeks_ago,
    s.state,
    COALESCE(s.stage, 0) AS stage,
    LEAST(s.silent_days, 60) AS recency_days,
    LEAST(s.active_days, 20) AS active_days,
    LEAST(s.points_now, 50) AS points_now,
    LEAST(DIV(s.points_before * 7, GREATEST(s.days_before, 7)), 50) AS pace_before,
    COALESCE(
      g.goal_date <= DATE_ADD(DATE_SUB(@end_date, INTERVAL 7 * s.weeks_ago DAY), INTERVAL 7 DAY), FALSE
    ) AS is_conversion
  FROM states AS s
  LEFT JOIN first_goals AS g ON g.actor_key = s.actor_key
  WHERE s.state != 'converted'
)

SELECT
  c.weeks_ago,
  c.state,
  c.stage,
  c.recency_days,
  c.active_days,
  c.points_now,
  c.pace_before,
  COUNT(*) AS actors,
  COUNTIF(c.is_conversion) AS conversions
FROM cells AS c
GROUP BY c.weeks_ago, c.state, c.stage, c.recency_days, c.active_days, c.points_now, c.pace_before
ORDER BY c.weeks_ago, c.state, c.stage, c.recency_days, c.active_days, c.points_now, c.pace_before
