-- The identifiers of a batch, in their order.
-- grain: kind, identifier
-- params: batch_id STRING
-- structure: none
SELECT s.kind, s.identifier
FROM {{ relation('mc_sent') }} AS s
WHERE s.batch_id = @batch_id
ORDER BY s.kind, s.identifier
