-- The orders that are sent, each with the batch that it is in. Batches have one operation, and become smaller the more often a
-- batch with their orders was refused in part.
-- grain: conversion_key
-- params: destination STRING, conversion STRING, push_id STRING, now TIMESTAMP, normalisation STRING, most_orders INT64
-- structure: none
WITH numbered AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY c.operation, c.refusals ORDER BY c.order_id) - 1 AS place
  FROM {{ relation('conversion_changes') }} AS c
  WHERE c.verdict = 'send'
)

SELECT
  CONCAT(@destination, '/', @conversion, '/', n.order_id) AS conversion_key,
  @destination AS destination,
  @conversion AS conversion,
  n.order_id, n.property, n.event_date, n.external_source, n.occurred_at, n.actor_key, n.user_id, n.value_micros, n.currency,
  n.who,
  @normalisation AS normalisation,
  n.operation, n.why,
  @now AS said_at,
  CONCAT(
    @push_id,
    CASE n.operation WHEN 'retract' THEN '-r' WHEN 'restate' THEN '-t' ELSE '-s' END,
    CAST(n.refusals AS STRING),
    '-',
    CAST(DIV(n.place, GREATEST(DIV(@most_orders, CAST(POW(4, LEAST(n.refusals, 15)) AS INT64)), 1)) AS STRING)
  ) AS batch_id,
  n.was_sent, n.first_sent_at, n.refusals, n.unsure_until
FROM numbered AS n
