-- The identifiers of the people who are wanted on a list, and how many of them have each: it leaves with the last of them.
-- grain: kind, identifier
-- params: none
-- structure: none
SELECT r.kind, r.identifier, COUNT(*) AS people
FROM {{ relation('push_rows') }} AS r
GROUP BY r.kind, r.identifier
