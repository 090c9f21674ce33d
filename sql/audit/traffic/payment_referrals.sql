-- Sessions in which a payment provider is named as a source: the visitor came back from paying, and did not come from
-- there.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} name the payment provider {subject} as a source of traffic.
-- remedy: In GA4 (Admin, Data streams, Configure tag settings) add it to List unwanted referrals. GA4 credits it with
--   the purchases that were paid there. microconv takes a referrer in the middle of a session for no source, but a
--   session that begins on return from the provider counts for it.
-- threshold: min_share FLOAT64 = 0.0005 share of sessions from which it is told
-- threshold: min_count INT64 = 5 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, payment_hosts ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
{% from '_urls.sql' import host %}
WITH referrers AS (
  SELECT e.page_referrer, {{ host('e.page_referrer' | identifier) }} AS host
  FROM {{ relation('mc_events') }} AS e
  WHERE e.page_referrer IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.page_referrer
),

providers AS (
  SELECT r.page_referrer, MIN(provider) AS provider
  FROM referrers AS r
  CROSS JOIN UNNEST(@payment_hosts) AS provider
  WHERE r.host = provider OR ENDS_WITH(r.host, CONCAT('.', provider))
  GROUP BY r.page_referrer
),

sources AS (
  SELECT n.traffic_source, MIN(provider) AS provider
  FROM (
    SELECT DISTINCT e.traffic_source
    FROM {{ relation('mc_events') }} AS e
    WHERE e.traffic_source IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
  ) AS n
  CROSS JOIN UNNEST(@payment_hosts) AS provider
  WHERE LOWER(n.traffic_source) = provider OR ENDS_WITH(LOWER(n.traffic_source), CONCAT('.', provider))
  GROUP BY n.traffic_source
),

-- Of a referrer that is to be ignored GA4 says so.
named AS (
  SELECT
    COALESCE(f.provider, p.provider) AS subject,
    e.session_key,
    MIN(e.event_date) AS event_date
  FROM {{ relation('mc_events') }} AS e
  LEFT JOIN sources AS f ON f.traffic_source = e.traffic_source
  LEFT JOIN providers AS p ON p.page_referrer = e.page_referrer
  WHERE
    e.session_key IS NOT NULL
    AND COALESCE(f.provider, p.provider) IS NOT NULL
    AND NOT COALESCE(e.ignores_referrer, FALSE)
    AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY subject, e.session_key
),

conversions AS (
  SELECT o.session_key, COUNT(*) AS conversions
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.kind = 'macro' AND o.session_key IS NOT NULL
  GROUP BY o.session_key
),

counts AS (
  SELECT
    n.subject,
    n.event_date,
    COUNT(*) AS count,
    CAST(NULL AS STRING) AS detail,
    CAST(COALESCE(SUM(c.conversions), 0) AS INT64) AS macro_conversions
  FROM named AS n
  LEFT JOIN conversions AS c ON c.session_key = n.session_key
  GROUP BY n.subject, n.event_date
),

totals AS (
  SELECT s.session_date AS event_date, COUNT(*) AS total
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
  GROUP BY s.session_date
),

grid AS ({{ on_each_day('counts', 'totals') }}),

days AS (
  SELECT g.*, COALESCE(c.macro_conversions, 0) AS macro_conversions
  FROM grid AS g
  LEFT JOIN counts AS c ON c.subject = g.subject AND c.event_date = g.event_date
)

{{ told('days', ['macro_conversions']) }}
ORDER BY subject, event_date
