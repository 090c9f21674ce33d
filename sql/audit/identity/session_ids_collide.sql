-- Sessions with a pause longer than any that GA4 allows inside one (7 hours 55 minutes): two visits of a client share
-- one ga_session_id, as servers and apps do that keep an id.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) have a pause of over 8 hours inside them, {dates}: visits that are far
--   apart share one ga_session_id.
-- remedy: Make a new ga_session_id for each visit, where a server or an app sets it itself; do not keep it beyond 30
--   minutes without an event.
-- threshold: min_share FLOAT64 = 0.001 share of the sessions that begin on a day from which it is told
-- threshold: min_count INT64 = 5 sessions of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH sessions AS (
  SELECT
    s.session_key,
    s.session_date,
    s.last_event_date,
    UNIX_MICROS(s.ended_at) - UNIX_MICROS(s.started_at) > 28800000000 AS is_long
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
),

pauses AS (
  SELECT
    e.session_key,
    UNIX_MICROS(e.event_at) - LAG(UNIX_MICROS(e.event_at)) OVER (
      PARTITION BY e.session_key ORDER BY e.event_at, e.event_order
    ) AS pause_us
  FROM {{ relation('mc_events') }} AS e
  INNER JOIN sessions AS s ON s.session_key = e.session_key
  WHERE s.is_long
),

torn AS (
  SELECT p.session_key
  FROM pauses AS p
  WHERE p.pause_us > 28800000000
  GROUP BY p.session_key
),

days AS (
  SELECT
    '' AS subject,
    s.session_date AS event_date,
    COUNT(t.session_key) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM sessions AS s
  LEFT JOIN torn AS t ON t.session_key = s.session_key
  GROUP BY s.session_date
)

{{ standing_out('days') }}
ORDER BY event_date
