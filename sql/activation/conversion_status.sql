-- What is known of each conversion at each destination. `standing` are the orders that it has, as far as we know, and their value.
-- grain: destination, conversion, currency
-- params: none
-- structure: none
WITH told AS (
  SELECT
    c.destination, c.conversion, c.currency, c.operation, c.value_micros,
    COALESCE(c.was_sent, FALSE) AS was_sent,
    COALESCE(b.state, 'unknown') AS state,
    COALESCE(b.rejected >= b.identifiers, FALSE) AS is_refused,
    b.sent_at
  FROM {{ relation('mc_conversions') }} AS c
  LEFT JOIN {{ relation('mc_conversion_batches') }} AS b ON b.batch_id = c.batch_id
)

SELECT
  t.destination,
  t.conversion,
  t.currency,
  COUNTIF(t.operation != 'retract' AND (t.was_sent OR t.state NOT IN ('planned', 'failed'))) AS standing,
  SUM(IF(t.operation != 'retract' AND (t.was_sent OR t.state NOT IN ('planned', 'failed')), t.value_micros, 0)) AS value_micros,
  COUNTIF(t.operation = 'retract' AND t.state NOT IN ('planned', 'failed')) AS retracted,
  COUNTIF(t.state = 'accepted') AS waiting,
  COUNTIF(t.state IN ('planned', 'sent', 'failed', 'partial', 'unknown') AND NOT t.is_refused) AS unsettled,
  COUNTIF(t.is_refused) AS refused,
  MAX(t.sent_at) AS last_sent_at
FROM told AS t
GROUP BY t.destination, t.conversion, t.currency
ORDER BY t.destination, t.conversion, t.currency
