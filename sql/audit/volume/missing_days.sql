-- Days without any event between days that have some: the export lacks them, and every figure of the period lacks them, too.
-- severity: error
-- finding: Property {subject} has no events at all {dates}.
-- remedy: Look in BigQuery whether the daily tables of these days are there, and under Admin > Product links > BigQuery links whether the export was paused or over its limit. GA4 does not export past days again: say in reports that they are missing.
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
WITH days AS (
  SELECT s.property, s.event_date, SUM(s.events) AS events
  FROM {{ relation('mc_shards') }} AS s
  GROUP BY s.property, s.event_date
),

spans AS (
  SELECT d.property, MIN(d.event_date) AS first_day, MAX(d.event_date) AS last_day
  FROM days AS d
  WHERE d.events > 0
  GROUP BY d.property
),

calendar AS (
  SELECT p.property, day
  FROM spans AS p
  CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(p.first_day, p.last_day)) AS day
)

SELECT c.property AS subject, c.day AS event_date, 1 AS count, 1 AS total, CAST(NULL AS STRING) AS detail
FROM calendar AS c
LEFT JOIN days AS d ON d.property = c.property AND d.event_date = c.day
WHERE
  COALESCE(d.events, 0) = 0
  AND (@first_date IS NULL OR c.day >= @first_date)
  AND (@last_date IS NULL OR c.day <= @last_date)
ORDER BY subject, event_date
