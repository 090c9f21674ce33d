-- The devices of some users that a destination was told of: the user stands behind `between`.
-- grain: kind, identifier
-- params: destination STRING, user_ids ARRAY<STRING>, between STRING
-- structure: none
SELECT s.kind, s.identifier
FROM {{ relation('mc_sent') }} AS s
WHERE
  s.destination = @destination
  AND s.kind = 'device'
  AND SUBSTR(s.identifier, STRPOS(s.identifier, @between) + 1) IN UNNEST(@user_ids)
GROUP BY s.kind, s.identifier
