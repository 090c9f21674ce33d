-- Sessions that began on a page reached from a host of the property itself: the visit was split, and its source is
-- lost.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} began on a page that was reached from the property's own
--   hosts: {detail}. A visit was split there, and where it came from is lost.
-- remedy: In GA4 (Admin, Data streams, Configure tag settings) list your domains under Configure your domains, and
--   check that the same tag is on each page between them. microconv takes no own host for a source: these sessions
--   count for the visitor's earlier source, or as Direct. The GA4 export itself calls them Referral.
-- threshold: min_share FLOAT64 = 0.01 share of sessions from which it is told
-- threshold: min_count INT64 = 20 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH sessions AS (
  SELECT
    s.session_date,
    s.session_key,
    IF(s.source_rule IN ('direct', 'last_non_direct'), s.self_referrer, NULL) AS host
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
),

hosts AS (
  SELECT n.host, n.count, ROW_NUMBER() OVER (ORDER BY n.count DESC, n.host) AS place, COUNT(*) OVER () AS hosts
  FROM (
    SELECT s.host, COUNT(*) AS count
    FROM sessions AS s
    WHERE s.host IS NOT NULL
    GROUP BY s.host
  ) AS n
),

named AS (
  SELECT
    MIN(IF(h.place = 1, h.host, NULL)) AS subject,
    CONCAT(
      STRING_AGG(IF(h.place <= 3, h.host, NULL), ', ' ORDER BY h.place),
      IF(MAX(h.hosts) > 3, CONCAT(' and ', CAST(MAX(h.hosts) - 3 AS STRING), ' more'), '')
    ) AS detail
  FROM hosts AS h
),

conversions AS (
  SELECT o.session_key, COUNT(*) AS conversions
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.kind = 'macro' AND o.session_key IS NOT NULL
  GROUP BY o.session_key
),

days AS (
  SELECT
    n.subject,
    s.session_date AS event_date,
    COUNT(s.host) AS count,
    COUNT(*) AS total,
    n.detail,
    CAST(COALESCE(SUM(IF(s.host IS NULL, 0, c.conversions)), 0) AS INT64) AS macro_conversions
  FROM sessions AS s
  CROSS JOIN named AS n
  LEFT JOIN conversions AS c ON c.session_key = s.session_key
  WHERE n.subject IS NOT NULL
  GROUP BY n.subject, s.session_date, n.detail
)

{{ told('days', ['macro_conversions']) }}
ORDER BY subject, event_date
