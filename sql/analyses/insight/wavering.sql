-- How actors go from one level of the way to the goal to the next, and whether they waver. A level is a mindset, 1 to 3, 4 the goal, 5
-- what comes after it; who skips a level is not in it. Each is looked at for `window_us` from the first thing done at the level on;
-- `is_followed` says whether the data last that long. `waited_seconds` is how long it took to come to any level beyond (NULL: not in the
-- window; rounded as those of stage_times). `hesitated` and `went_back` are what was done before that: a sign of hesitation, something of a
-- lower level. `is_late` are those not beyond `landmark_us` after they came, `hesitated_early` who had hesitated by then.
-- grain: level, began_before, is_followed, hesitated, went_back, is_late, hesitated_early, waited_seconds
-- params: entries ARRAY<STRING>, levels ARRAY<INT64>, hesitations ARRAY<STRING>, window_us INT64, landmark_us INT64,
--   first_date DATE, last_date DATE, end_at TIMESTAMP,
--   pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>,
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
{% from 'analyses/insight/_waited.sql' import in_seconds with context %}
WITH
{% if segment %}
{{ matching(segment) }}
,

{% endif %}
first_sessions AS (
  SELECT s.actor_key, COALESCE(s.session_number, 1) > 1 AS began_before
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at <= @end_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
),

{% include 'analyses/insight/_ways.sql' %}
,

arrivals AS (
  SELECT
    o.actor_key,
    o.level,
    o.at_order,
    IF(DIV(o.beyond_order, 1000) <= DIV(o.at_order, 1000) + @window_us, o.beyond_order, NULL) AS beyond_order,
    DIV(o.at_order, 1000) + @window_us <= UNIX_MICROS(@end_at) AS is_followed,
    COALESCE(s.began_before, FALSE) AS began_before
  FROM onward AS o
  LEFT JOIN first_sessions AS s ON s.actor_key = o.actor_key
  WHERE
    (o.beyond_order IS NULL OR o.beyond_order > o.at_order)
    AND o.level < 5
    AND (@first_date IS NULL OR o.event_date >= @first_date)
    AND (@last_date IS NULL OR o.event_date <= @last_date)
    {% if segment %}
    AND o.actor_key IN (SELECT a.actor_key FROM matching AS a)
    {% endif %}
),

-- Of what one event counts as, hesitation comes last: it may be one with the arrival, and not with what lies beyond.
signs AS (
  SELECT
    a.actor_key,
    a.level,
    MIN(IF(m.micro_conversion IN UNNEST(@hesitations), m.event_order, NULL)) AS hesitation_order,
    LOGICAL_OR(COALESCE(k.level < a.level, FALSE) AND m.event_order > a.at_order) AS went_back
  FROM arrivals AS a
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON m.actor_key = a.actor_key
  LEFT JOIN known_levels AS k ON k.entry = m.micro_conversion
  WHERE
    m.event_order >= a.at_order
    AND (m.event_order < a.beyond_order OR a.beyond_order IS NULL)
    AND DIV(m.event_order, 1000) <= DIV(a.at_order, 1000) + @window_us
  GROUP BY a.actor_key, a.level
),

courses AS (
  SELECT
    a.level,
    a.began_before,
    a.is_followed,
    s.hesitation_order IS NOT NULL AS hesitated,
    COALESCE(s.went_back, FALSE) AS went_back,
    a.beyond_order IS NULL OR DIV(a.beyond_order, 1000) > DIV(a.at_order, 1000) + @landmark_us AS is_late,
    COALESCE(DIV(s.hesitation_order, 1000) <= DIV(a.at_order, 1000) + @landmark_us, FALSE) AS hesitated_early,
    DIV(a.beyond_order, 1000) - DIV(a.at_order, 1000) AS waited_us
  FROM arrivals AS a
  LEFT JOIN signs AS s ON s.actor_key = a.actor_key AND s.level = a.level
),

rounded AS (
  SELECT
    c.level,
    c.began_before,
    c.is_followed,
    c.hesitated,
    c.went_back,
    c.is_late,
    c.hesitated_early,
    {{ in_seconds('c' | identifier) }} AS waited_seconds
  FROM courses AS c
)

SELECT
  r.level,
  r.began_before,
  r.is_followed,
  r.hesitated,
  r.went_back,
  r.is_late,
  r.hesitated_early,
  r.waited_seconds,
  COUNT(*) AS actors
FROM rounded AS r
GROUP BY
  r.level, r.began_before, r.is_followed, r.hesitated, r.went_back, r.is_late, r.hesitated_early, r.waited_seconds
ORDER BY
  r.level, r.began_before, r.is_followed, r.hesitated, r.went_back, r.is_late, r.hesitated_early, r.waited_seconds
