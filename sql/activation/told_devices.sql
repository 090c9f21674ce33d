-- The devices of some users that a destination was told of: the user stands behind the tab.
-- grain: kind, identifier
-- params: destination STRING, user_ids ARRAY<STRING>
-- structure: none
SELECT s.kind, s.identifier
FROM {{ relation('mc_sent') }} AS s
WHERE
  s.destination = @destination
  AND s.kind = 'device'
  AND REGEXP_EXTRACT(s.identifier, r'\t(.*)$') IN UNNEST(@user_ids)
GROUP BY s.kind, s.identifier
