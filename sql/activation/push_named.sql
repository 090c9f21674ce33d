-- Identifiers of a batch that the destination refused by name: their rows, now of a batch of their own.
-- grain: sent_key
-- params: batch_id STRING, refused_id STRING, places ARRAY<INT64>, refusals INT64
-- structure: none
WITH placed AS (
  SELECT s.*, ROW_NUMBER() OVER (ORDER BY s.kind, s.identifier) - 1 AS place
  FROM {{ relation('mc_sent') }} AS s
  WHERE s.batch_id = @batch_id
)

SELECT
  p.sent_key, p.destination, p.segment, p.kind, p.identifier, p.normalisation, p.people, p.operation,
  @refused_id AS batch_id,
  p.was_sent, p.added_at,
  @refusals AS refusals,
  p.unsure_until
FROM placed AS p
WHERE p.place IN UNNEST(@places)
