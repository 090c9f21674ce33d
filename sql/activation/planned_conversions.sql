-- What would be sent, order by order: what a fingerprint is made of.
-- grain: order_id
-- params: none
-- structure: none
SELECT
  c.order_id, c.operation, c.why, UNIX_MICROS(c.occurred_at) AS occurred_us, c.value_micros, c.currency, c.who
FROM {{ relation('conversion_changes') }} AS c
WHERE c.verdict = 'send'
ORDER BY c.order_id
