-- The orders of a batch, in their order.
-- grain: order_id
-- params: batch_id STRING
-- structure: none
SELECT
  c.order_id, UNIX_MICROS(c.occurred_at) AS occurred_us, UNIX_MICROS(c.said_at) AS said_us, c.value_micros, c.currency, c.who
FROM {{ relation('mc_conversions') }} AS c
WHERE c.batch_id = @batch_id
ORDER BY c.order_id
