-- Days on which far more sessions than usual bought without having begun a checkout.
-- severity: warning
-- finding: {count} of {total} sessions with a purchase {dates} began no checkout, {detail}.
-- remedy: Look whether the tag of begin_checkout was lost, a new way to pay skips it, or the session breaks on the way from the payment page.
-- threshold: min_share FLOAT64 = 0.1 share of these sessions from which it is told
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
-- judge: sudden_share
WITH sessions AS (
  SELECT e.property, e.session_key, MIN(e.event_date) AS event_date, LOGICAL_OR(e.event_name = 'begin_checkout') AS has_before
  FROM {{ relation('mc_events') }} AS e
  WHERE e.session_key IS NOT NULL AND e.event_name IN ('purchase', 'begin_checkout')
  GROUP BY e.property, e.session_key
  HAVING LOGICAL_OR(e.event_name = 'purchase')
)

SELECT
  s.property,
  'purchase' AS subject,
  s.event_date,
  COUNTIF(NOT s.has_before) AS count,
  COUNT(*) AS total,
  FALSE AS is_provisional,
  (@first_date IS NULL OR s.event_date >= @first_date) AND (@last_date IS NULL OR s.event_date <= @last_date) AS is_asked
FROM sessions AS s
GROUP BY s.property, s.event_date
ORDER BY s.property, s.event_date
