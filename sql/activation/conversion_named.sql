-- Orders of a batch that the destination refused by name: their rows, now of a batch of their own.
-- grain: conversion_key
-- params: batch_id STRING, refused_id STRING, places ARRAY<INT64>, refusals INT64
-- structure: none
WITH placed AS (
  SELECT c.*, ROW_NUMBER() OVER (ORDER BY c.order_id) - 1 AS place
  FROM {{ relation('mc_conversions') }} AS c
  WHERE c.batch_id = @batch_id
)

SELECT
  p.conversion_key, p.destination, p.conversion, p.order_id, p.property, p.event_date, p.external_source, p.occurred_at,
  p.actor_key, p.user_id, p.value_micros, p.currency, p.who, p.normalisation, p.operation, p.why, p.said_at,
  @refused_id AS batch_id,
  p.was_sent, p.first_sent_at,
  @refusals AS refusals,
  p.unsure_until
FROM placed AS p
WHERE p.place IN UNNEST(@places)
