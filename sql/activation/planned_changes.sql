-- What a push would send, identifier by identifier, in one order: what its fingerprint is made of.
-- grain: operation, kind, identifier
-- params: none
-- structure: none
SELECT c.operation, c.reason, c.kind, c.identifier
FROM {{ relation('push_changes') }} AS c
WHERE c.verdict = 'send'
ORDER BY c.operation, c.kind, c.identifier
