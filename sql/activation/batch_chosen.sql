-- The identifiers of a batch that are among those that were chosen: of people who refused.
-- grain: kind, identifier
-- params: batch_id STRING
-- structure: none
SELECT DISTINCT s.kind, s.identifier
FROM {{ relation('mc_sent') }} AS s
INNER JOIN {{ relation('chosen_identifiers') }} AS c ON c.kind = s.kind AND c.identifier = s.identifier
WHERE s.batch_id = @batch_id
