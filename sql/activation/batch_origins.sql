-- Why the identifiers of a batch are wanted.
-- grain: kind, identifier
-- params: batch_id STRING
-- structure: none
SELECT o.kind, o.identifier, o.since, o.consented_at
FROM {{ relation('mc_sent') }} AS s
INNER JOIN {{ relation('identifier_origins') }} AS o ON o.kind = s.kind AND o.identifier = s.identifier
WHERE s.batch_id = @batch_id
