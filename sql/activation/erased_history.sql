-- Additions of a person that the table of changes of a destination still has.
-- grain: change_key
-- params: none
-- structure: none
SELECT c.change_key
FROM {{ relation('audience_changes') }} AS c
INNER JOIN {{ relation('chosen_identifiers') }} AS p ON p.kind = c.kind AND p.identifier = c.identifier
WHERE c.operation = 'add'
