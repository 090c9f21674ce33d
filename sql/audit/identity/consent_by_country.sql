-- Days on which the share of events without consent in one country is far from its usual one, and from its usual
-- distance to the median of the countries: the banner of that country broke. What happens in all is told by
-- `consent_by_day`.
-- severity: warning
-- finding: {count} of {total} events from {subject} ({share}) came without consent {dates}, where {detail} is usual.
-- remedy: Look at the consent banner as visitors from this country see it, and at the rules that choose it.
-- threshold: min_change FLOAT64 = 0.1 how far the share must be from its usual one
-- threshold: min_days INT64 = 7 days of history below which nothing is told
-- threshold: min_events INT64 = 200 events of a country and day below which it is left out
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/identity/_consent.sql' import strays %}
WITH countries AS (
  SELECT
    e.country,
    e.event_date,
    COUNTIF(e.client_key IS NULL) AS without,
    COUNT(*) AS events
  FROM {{ relation('mc_events') }} AS e
  WHERE e.country NOT IN ('', '(not set)')
  GROUP BY e.country, e.event_date
),

large AS (
  SELECT
    c.*,
    PERCENTILE_CONT(c.without / c.events, 0.5) OVER (PARTITION BY c.event_date) AS expected_share,
    COUNT(*) OVER (PARTITION BY c.event_date) AS countries
  FROM countries AS c
  WHERE c.events >= @min_events
),

days AS (
  SELECT l.country AS subject, l.event_date, l.without, l.events, l.expected_share
  FROM large AS l
  WHERE l.countries >= 3
),

{{ strays('days') }}

SELECT
  s.subject,
  s.event_date,
  CAST(s.without AS INT64) AS count,
  CAST(s.events AS INT64) AS total,
  CONCAT(CAST(CAST(ROUND(100 * s.usual_share) AS INT64) AS STRING), '%') AS detail
FROM strays AS s
WHERE {{ in_period('s.event_date' | identifier) }}
ORDER BY s.subject, s.event_date
