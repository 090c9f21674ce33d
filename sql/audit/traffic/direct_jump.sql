-- Days on which the share of Direct lies far above the property's own usual one: a source of traffic lost its name.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} are Direct; {detail} is usual.
-- remedy: Look for what changed then: links of a newsletter, an app or a campaign without UTM parameters, a redirect
--   that drops them, a consent banner that loads the tag late. If no other channel lost sessions, look at bots and at
--   what brought new visitors.
-- threshold: spread FLOAT64 = 4.5 how many robust standard deviations above the median a day's share must lie
-- threshold: min_rise FLOAT64 = 0.1 by how much the share must lie above the median (0.1 = 10 percentage points)
-- threshold: min_sessions INT64 = 100 sessions a day has to be judged
-- threshold: min_days INT64 = 14 days that are needed to know what is usual
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH days AS (
  SELECT s.session_date AS event_date, COUNTIF(s.channel_group = 'Direct') AS count, COUNT(*) AS total
  FROM {{ relation('mc_sessions') }} AS s
  GROUP BY s.session_date
  HAVING COUNT(*) >= @min_sessions
),

centred AS (
  SELECT
    d.*,
    d.count / d.total AS share,
    PERCENTILE_CONT(d.count / d.total, 0.5) OVER () AS usual,
    COUNT(*) OVER () AS days
  FROM days AS d
),

spread AS (
  SELECT c.*, 1.4826 * PERCENTILE_CONT(ABS(c.share - c.usual), 0.5) OVER () AS deviation
  FROM centred AS c
)

-- What the days differ by is at least what chance makes of so many sessions.
SELECT
  'Direct' AS subject,
  s.event_date,
  s.count,
  s.total,
  CONCAT(CAST(CAST(ROUND(100 * s.usual) AS INT64) AS STRING), '%') AS detail
FROM spread AS s
WHERE
  s.days >= @min_days
  AND s.share - s.usual >= @min_rise
  AND s.share - s.usual >= @spread * GREATEST(s.deviation, SQRT(s.usual * (1 - s.usual) / s.total))
  AND {{ in_period('s.event_date' | identifier) }}
ORDER BY subject, event_date
