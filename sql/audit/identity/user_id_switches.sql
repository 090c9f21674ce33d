-- Sessions in which one user id follows another: people share the device, or the tag sends an id that is not the
-- visitor's.
-- severity: warning
-- finding: {count} of {total} sessions with a user id ({share}) have more than one {dates}.
-- remedy: Send the id of the signed-in account only, the same on every page, and nothing after signing out. Shops at a
--   counter and shared devices have some of these.
-- threshold: min_share FLOAT64 = 0.02 share of a day's sessions with a user id from which it is told
-- threshold: min_count INT64 = 10 sessions of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH sessions AS (
  SELECT e.session_key, MIN(e.event_date) AS event_date, COUNT(DISTINCT e.user_id) AS users
  FROM {{ relation('mc_events') }} AS e
  WHERE e.session_key IS NOT NULL AND e.user_id IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.session_key
),

days AS (
  SELECT
    '' AS subject,
    s.event_date,
    COUNTIF(s.users > 1) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM sessions AS s
  GROUP BY s.event_date
)

{{ standing_out('days') }}
ORDER BY event_date
