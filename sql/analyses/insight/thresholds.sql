-- How many actors reach the goal within a window after a landmark, a time since they began, by how often they had done something
-- by then. A measure is an entry, or all entries of a kind, `(any)` of them, or how many `(distinct)` ones; `times` ends at `most`.
-- Who had reached the goal by the landmark, and whom the data do not follow for the whole window, is left out.
-- grain: measure, landmark_ms, half, times
-- params: entries ARRAY<STRING>, kinds ARRAY<STRING>, measures ARRAY<STRING>, goals ARRAY<STRING>, landmarks_ms ARRAY<INT64>,
--   window_ms INT64, most INT64, end_at TIMESTAMP, first_date DATE, last_date DATE
-- structure: none
{% from 'analyses/insight/_landmarks.sql' import actors_at_landmarks with context %}
WITH {{ actors_at_landmarks() }},

entry_kinds AS (
  SELECT entry, @kinds[OFFSET(place)] AS kind
  FROM UNNEST(@entries) AS entry WITH OFFSET AS place
),

occurrences AS (
  SELECT m.actor_key, m.micro_conversion, e.kind, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN entry_kinds AS e ON e.entry = m.micro_conversion
  WHERE m.actor_key IS NOT NULL AND m.event_at < @end_at
),

by_entry AS (
  SELECT
    a.actor_key, a.landmark_ms, a.half, a.is_reached, o.micro_conversion, o.kind, COUNT(*) AS times
  FROM at_landmarks AS a
  INNER JOIN occurrences AS o ON o.actor_key = a.actor_key
  WHERE o.at_ms < a.moment_ms
  GROUP BY a.actor_key, a.landmark_ms, a.half, a.is_reached, o.micro_conversion, o.kind
),

by_actor AS (
  SELECT
    b.actor_key,
    b.landmark_ms,
    b.half,
    b.is_reached,
    SUM(b.times) AS any_times,
    COUNT(*) AS distinct_times,
    SUM(IF(b.kind = 'milestone', b.times, 0)) AS milestone_times,
    SUM(IF(b.kind = 'secondary', b.times, 0)) AS secondary_times
  FROM by_entry AS b
  GROUP BY b.actor_key, b.landmark_ms, b.half, b.is_reached
),

measured AS (
  SELECT e.micro_conversion AS measure, e.landmark_ms, e.half, e.is_reached, e.times
  FROM by_entry AS e
  UNION ALL
  SELECT '(any)' AS measure, a.landmark_ms, a.half, a.is_reached, a.any_times AS times
  FROM by_actor AS a
  UNION ALL
  SELECT '(distinct)' AS measure, a.landmark_ms, a.half, a.is_reached, a.distinct_times AS times
  FROM by_actor AS a
  UNION ALL
  SELECT '(milestone)' AS measure, a.landmark_ms, a.half, a.is_reached, a.milestone_times AS times
  FROM by_actor AS a
  WHERE a.milestone_times > 0
  UNION ALL
  SELECT '(secondary)' AS measure, a.landmark_ms, a.half, a.is_reached, a.secondary_times AS times
  FROM by_actor AS a
  WHERE a.secondary_times > 0
),

counted AS (
  SELECT
    m.measure,
    m.landmark_ms,
    m.half,
    LEAST(m.times, @most) AS times,
    COUNT(*) AS actors,
    COUNTIF(m.is_reached) AS reached
  FROM measured AS m
  WHERE m.measure IN UNNEST(@measures)
  GROUP BY m.measure, m.landmark_ms, m.half, LEAST(m.times, @most)
),

everybody AS (
  SELECT a.landmark_ms, a.half, COUNT(*) AS actors, COUNTIF(a.is_reached) AS reached
  FROM at_landmarks AS a
  GROUP BY a.landmark_ms, a.half
),

doers AS (
  SELECT c.measure, c.landmark_ms, c.half, SUM(c.actors) AS actors, SUM(c.reached) AS reached
  FROM counted AS c
  GROUP BY c.measure, c.landmark_ms, c.half
),

never AS (
  SELECT
    asked AS measure,
    e.landmark_ms,
    e.half,
    0 AS times,
    e.actors - COALESCE(d.actors, 0) AS actors,
    e.reached - COALESCE(d.reached, 0) AS reached
  FROM everybody AS e
  CROSS JOIN UNNEST(@measures) AS asked
  LEFT JOIN doers AS d ON d.measure = asked AND d.landmark_ms = e.landmark_ms AND d.half = e.half
)

SELECT n.measure, n.landmark_ms, n.half, n.times, n.actors, n.reached
FROM never AS n
UNION ALL
SELECT c.measure, c.landmark_ms, c.half, c.times, c.actors, c.reached
FROM counted AS c
ORDER BY measure, landmark_ms, half, times
