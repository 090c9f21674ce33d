-- Days on which far more sessions than usual put something into the cart without having viewed a product.
-- severity: warning
-- finding: {count} of {total} sessions with a cart {dates} viewed no product, {detail}.
-- remedy: Look whether the tag of view_item was lost on a template, or add_to_cart fires without an act.
-- threshold: min_share FLOAT64 = 0.1 share of these sessions from which it is told
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
-- judge: sudden_share
WITH sessions AS (
  SELECT e.property, e.session_key, MIN(e.event_date) AS event_date, LOGICAL_OR(e.event_name = 'view_item') AS has_before
  FROM {{ relation('mc_events') }} AS e
  WHERE e.session_key IS NOT NULL AND e.event_name IN ('add_to_cart', 'view_item')
  GROUP BY e.property, e.session_key
  HAVING LOGICAL_OR(e.event_name = 'add_to_cart')
)

SELECT
  s.property,
  'add_to_cart' AS subject,
  s.event_date,
  COUNTIF(NOT s.has_before) AS count,
  COUNT(*) AS total,
  FALSE AS is_provisional,
  (@first_date IS NULL OR s.event_date >= @first_date) AND (@last_date IS NULL OR s.event_date <= @last_date) AS is_asked
FROM sessions AS s
GROUP BY s.property, s.event_date
ORDER BY s.property, s.event_date
