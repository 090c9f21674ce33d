-- Sessions in which a link within the site carries UTM parameters, and so overwrites where the visitor came from.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} follow a link of the site itself that carries UTM
--   parameters: {subject}.
-- remedy: Remove the UTM parameters from links between your own pages; send an event, or promotions, to count clicks
--   on them. GA4 takes them for a new source of traffic in the middle of the visit.
-- threshold: min_share FLOAT64 = 0.001 share of sessions from which it is told
-- threshold: min_count INT64 = 10 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
{% from '_urls.sql' import host %}
{% set tag %}r'\?(?:[^#]*&)?utm_(?:source|medium|campaign)=[^&#]'{% endset %}
WITH tagged AS (
  SELECT
    n.page_location,
    n.page_referrer,
    REGEXP_EXTRACT(n.page_location, r'\?[^#]*?(utm_(?:source|medium|campaign)=[^&#]{0,40})') AS subject
  FROM (
    SELECT DISTINCT e.page_location, e.page_referrer
    FROM {{ relation('mc_events') }} AS e
    WHERE e.page_referrer IS NOT NULL AND STRPOS(e.page_location, 'utm_') > 0
      AND {{ in_period('e.event_date' | identifier) }}
  ) AS n
  WHERE
    REGEXP_CONTAINS(n.page_location, {{ tag }})
    AND {{ host('n.page_location' | identifier) }} = {{ host('n.page_referrer' | identifier) }}
),

-- A landing page that is loaded again, or passed on from, keeps the parameters that the visitor came with.
seen AS (
  SELECT
    e.session_key,
    e.event_date,
    t.subject,
    LOGICAL_OR(
      e.event_name = 'page_view' AND NOT REGEXP_CONTAINS(e.page_location, {{ tag }})
    ) OVER (
      PARTITION BY e.session_key ORDER BY e.event_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS is_under_way
  FROM {{ relation('mc_events') }} AS e
  LEFT JOIN tagged AS t ON t.page_location = e.page_location AND t.page_referrer = e.page_referrer
  WHERE e.session_key IN (
    SELECT s.session_key
    FROM {{ relation('mc_events') }} AS s
    INNER JOIN tagged AS g ON g.page_location = s.page_location AND g.page_referrer = s.page_referrer
    WHERE s.session_key IS NOT NULL
  )
),

counts AS (
  SELECT f.subject, f.event_date, COUNT(*) AS count, CAST(NULL AS STRING) AS detail
  FROM (
    SELECT s.subject, s.session_key, MIN(s.event_date) AS event_date
    FROM seen AS s
    WHERE s.subject IS NOT NULL AND s.is_under_way
    GROUP BY s.subject, s.session_key
  ) AS f
  WHERE {{ in_period('f.event_date' | identifier) }}
  GROUP BY f.subject, f.event_date
),

totals AS (
  SELECT s.session_date AS event_date, COUNT(*) AS total
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
  GROUP BY s.session_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
