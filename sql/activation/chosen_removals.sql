-- Of what a push would do, that which takes chosen identifiers off a list: they are to be removed or forgotten.
-- grain: kind, identifier
-- params: none
-- structure: none
SELECT
  c.kind, c.identifier, c.people, c.operation, c.verdict, c.reason, c.was_sent, c.added_at, c.refusals, c.unsure_until
FROM {{ relation('push_changes') }} AS c
INNER JOIN {{ relation('chosen_identifiers') }} AS p ON p.kind = c.kind AND p.identifier = c.identifier
WHERE c.operation = 'remove'
