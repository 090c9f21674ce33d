-- The batches of orders that are sent, as they are planned.
-- grain: batch_id
-- params: push_id STRING, now TIMESTAMP
-- structure: none
SELECT
  p.batch_id,
  @push_id AS push_id,
  p.destination,
  p.conversion,
  p.operation,
  'planned' AS state,
  COUNT(*) AS identifiers,
  CAST(NULL AS INT64) AS rejected,
  CAST(NULL AS STRING) AS request_id,
  0 AS attempts,
  @now AS planned_at,
  CAST(NULL AS TIMESTAMP) AS sent_at,
  CAST(NULL AS TIMESTAMP) AS settled_at,
  CAST(NULL AS STRING) AS reason
FROM {{ relation('conversion_planned') }} AS p
GROUP BY p.batch_id, p.destination, p.conversion, p.operation
ORDER BY p.batch_id
