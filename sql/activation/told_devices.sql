-- The devices of some users that a destination was told of: each ends with its user.
-- grain: kind, identifier
-- params: destination STRING, endings ARRAY<STRING>
-- structure: none
SELECT s.kind, s.identifier
FROM {{ relation('mc_sent') }} AS s
WHERE
  s.destination = @destination
  AND s.kind = 'device'
  AND EXISTS(SELECT 1 FROM UNNEST(@endings) AS ending WHERE ENDS_WITH(s.identifier, ending))
GROUP BY s.kind, s.identifier
