-- How many actors of each kind had done an entry by a landmark, a time since they began: what those who had are to be compared
-- with. Only actors who had not reached the target by then, and whom the data follow until then; who began before the data is
-- left out. The row without a micro-conversion counts all of them. What strata tell apart: device, channel, `large_country` (the
-- five with most actors, and the rest), `level` of activity, and `recency`, as in lift. What is finer than that: `country` (the ten
-- largest, and the rest), and the class of small steps, `steps`, and of time since the latest act, `pause`: how many of `steps_from`,
-- or `pauses_ms`, are not larger.
-- grain: micro_conversion, device_category, channel_group, large_country, level, recency, country, steps, pause
-- params: entries ARRAY<STRING>, targets ARRAY<STRING>, lag_ms INT64, landmark_ms INT64, end_at TIMESTAMP, first_date DATE,
--   last_date DATE, small_steps ARRAY<STRING>, activity_from ARRAY<INT64>, recent_ms ARRAY<INT64>, steps_from ARRAY<INT64>,
--   pauses_ms ARRAY<INT64>
-- structure: none
{% from 'analyses/insight/_at_risk.sql' import first_sessions, counted_countries, reached with context %}
WITH {{ first_sessions() }},

{{ counted_countries() }},

{{ reached() }},

at_landmark AS (
  SELECT
    n.actor_key,
    DIV(UNIX_MICROS(n.started_at), 1000) AS began_ms,
    DIV(UNIX_MICROS(n.started_at), 1000) + @landmark_ms AS moment_ms,
    COALESCE(n.device_category, '(not set)') AS device_category,
    COALESCE(n.channel_group, 'Unassigned') AS channel_group,
    IF(c.place <= 5, n.country, '(other)') AS large_country,
    IF(c.place <= 10, n.country, '(other)') AS country
  FROM first_sessions AS n
  LEFT JOIN counted_countries AS c ON c.country = n.country
  LEFT JOIN reached AS r ON r.actor_key = n.actor_key
  WHERE
    COALESCE(n.session_number, 1) <= 1
    AND DIV(UNIX_MICROS(n.started_at), 1000) + @landmark_ms < DIV(UNIX_MICROS(@end_at), 1000)
    AND (r.target_ms IS NULL OR r.target_ms > DIV(UNIX_MICROS(n.started_at), 1000) + @landmark_ms)
),

acts AS (
  SELECT m.actor_key, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms, 1 AS steps
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@small_steps) AND m.event_at < @end_at
  UNION ALL
  SELECT n.actor_key, DIV(UNIX_MICROS(n.started_at), 1000) AS at_ms, 0 AS steps
  FROM numbered_sessions AS n
),

acted AS (
  SELECT a.actor_key, SUM(c.steps) AS steps, GREATEST(MAX(c.at_ms), a.began_ms) AS latest_ms
  FROM at_landmark AS a
  INNER JOIN acts AS c ON c.actor_key = a.actor_key
  WHERE c.at_ms < a.moment_ms
  GROUP BY a.actor_key, a.began_ms
),

described AS (
  SELECT
    a.actor_key,
    a.device_category,
    a.channel_group,
    a.large_country,
    (SELECT COUNT(*) FROM UNNEST(@activity_from) AS steps_from WHERE steps_from <= c.steps) AS level,
    (SELECT COUNT(*) FROM UNNEST(@recent_ms) AS until_ms WHERE until_ms <= a.moment_ms - c.latest_ms) AS recency,
    a.country,
    (SELECT COUNT(*) FROM UNNEST(@steps_from) AS steps_from WHERE steps_from <= c.steps) AS steps,
    (SELECT COUNT(*) FROM UNNEST(@pauses_ms) AS until_ms WHERE until_ms <= a.moment_ms - c.latest_ms) AS pause,
    a.moment_ms
  FROM at_landmark AS a
  INNER JOIN acted AS c ON c.actor_key = a.actor_key
),

did AS (
  SELECT m.micro_conversion, d.actor_key
  FROM described AS d
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON m.actor_key = d.actor_key
  WHERE
    m.micro_conversion IN UNNEST(@entries)
    AND m.event_at < @end_at
    AND DIV(UNIX_MICROS(m.event_at), 1000) + @lag_ms <= d.moment_ms
  GROUP BY m.micro_conversion, d.actor_key
),

looked_at AS (
  SELECT '' AS micro_conversion, d.actor_key
  FROM described AS d
  UNION ALL
  SELECT d.micro_conversion, d.actor_key
  FROM did AS d
)

SELECT
  l.micro_conversion,
  d.device_category,
  d.channel_group,
  d.large_country,
  d.level,
  d.recency,
  d.country,
  d.steps,
  d.pause,
  COUNT(*) AS actors
FROM looked_at AS l
INNER JOIN described AS d ON d.actor_key = l.actor_key
GROUP BY
  l.micro_conversion, d.device_category, d.channel_group, d.large_country, d.level, d.recency, d.country, d.steps, d.pause
ORDER BY
  l.micro_conversion, d.device_category, d.channel_group, d.large_country, d.level, d.recency, d.country, d.steps, d.pause
