-- The identifiers that a push would send first with an operation, in the order of its batches.
-- grain: kind, identifier
-- params: operation STRING, most_identifiers INT64
-- structure: none
SELECT c.kind, c.identifier
FROM {{ relation('push_changes') }} AS c
WHERE c.verdict = 'send' AND c.operation = @operation
ORDER BY c.refusals, c.kind, c.identifier
LIMIT @most_identifiers
