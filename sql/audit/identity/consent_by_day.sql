-- Days on which the share of events without consent is far from its usual one: the consent banner broke, or was
-- changed.
-- severity: warning
-- finding: {count} of {total} events ({share}) came without consent {dates}, where {detail} is usual.
-- remedy: Look at what changed in the consent banner or in consent mode on these days. Figures that count visitors
--   cannot be compared with those of other days.
-- threshold: min_change FLOAT64 = 0.05 how far the share must be from its usual one
-- threshold: min_days INT64 = 7 days of history below which nothing is told
-- threshold: min_events INT64 = 200 events of a day below which it is left out
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/identity/_consent.sql' import strays %}
WITH days AS (
  SELECT
    '' AS subject,
    h.event_date,
    SUM(h.consentless_events) AS without,
    SUM(h.events) AS events,
    0.0 AS expected_share
  FROM {{ relation('mc_shards') }} AS h
  GROUP BY h.event_date
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
ORDER BY s.event_date
