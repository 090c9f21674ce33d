-- Events of developers and testers: debug mode, traffic marked as internal, pages on staging hosts and on localhost.
-- severity: warning
-- finding: {count} of {total} events ({share}) {dates} come from {subject}.
-- remedy: Set the data filters for internal and developer traffic in GA4 to Active (Admin, Data collection and
--   modification), and send no events of staging sites to this property. Where debug mode is most of the traffic, the
--   tag switches it on for everybody: remove debug_mode from it first, or the filter drops nearly all (debug_mode =
--   false does not switch it off).
-- threshold: min_share FLOAT64 = 0.0005 share of events from which it is told
-- threshold: min_count INT64 = 20 events from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
-- Few combinations stand for all events: patterns are looked for in these.
WITH kinds AS (
  SELECT
    e.event_date,
    e.page_host,
    IF(ENDS_WITH(e.traffic_source, '.google.com'), e.traffic_source, NULL) AS google_source,
    COALESCE(e.is_debug, FALSE) AS in_debug_mode,
    e.traffic_type,
    COUNT(*) AS events
  FROM {{ relation('mc_events') }} AS e
  WHERE {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_date, e.page_host, google_source, in_debug_mode, e.traffic_type
),

events AS (
  SELECT
    k.event_date,
    CASE
      WHEN
        REGEXP_CONTAINS(k.page_host, r'^(?:localhost|127\.|10\.|192\.168\.)|\.(?:local|localhost|test|internal)$')
        OR REGEXP_CONTAINS(
          k.page_host, r'^(?:.*[.-])?(?:staging|stage|stg|dev|devel|develop|test|qa|uat|preprod|sandbox)[0-9]*[.-]'
        )
        OR REGEXP_CONTAINS(k.page_host, r'\.(?:ngrok\.io|ngrok-free\.app|vercel\.app|netlify\.app)$')
        THEN CONCAT('the host ', k.page_host)
      WHEN k.google_source IN ('analytics.google.com', 'tagmanager.google.com', 'tagassistant.google.com')
        THEN CONCAT('a link in ', k.google_source)
      WHEN k.in_debug_mode THEN 'tags in debug mode'
      WHEN k.traffic_type IS NOT NULL THEN CONCAT('traffic marked as ', k.traffic_type)
    END AS subject,
    SUM(k.events) AS events
  FROM kinds AS k
  GROUP BY k.event_date, subject
),

counts AS (
  SELECT e.subject, e.event_date, e.events AS count, CAST(NULL AS STRING) AS detail
  FROM events AS e
  WHERE e.subject IS NOT NULL
),

totals AS (
  SELECT e.event_date, SUM(e.events) AS total
  FROM events AS e
  GROUP BY e.event_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
