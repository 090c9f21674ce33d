-- Identifiers of a person that a destination was told of and whose removal is not confirmed, by list.
-- grain: destination, segment
-- params: none
-- structure: none
SELECT s.destination, s.segment, COUNT(*) AS identifiers
FROM {{ relation('mc_sent') }} AS s
INNER JOIN {{ relation('chosen_identifiers') }} AS p ON p.kind = s.kind AND p.identifier = s.identifier
GROUP BY s.destination, s.segment
ORDER BY s.destination, s.segment
