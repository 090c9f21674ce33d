-- The devices of some users that a destination was told of: the user stands behind the tab.
-- grain: kind, identifier
-- params: destination STRING
-- structure: none
WITH told AS (
  SELECT s.kind, s.identifier, REGEXP_EXTRACT(s.identifier, r'\t(.*)$') AS user_id
  FROM {{ relation('mc_sent') }} AS s
  WHERE s.destination = @destination AND s.kind = 'device'
)

SELECT t.kind, t.identifier
FROM told AS t
INNER JOIN {{ relation('told_users') }} AS u ON u.user_id = t.user_id
GROUP BY t.kind, t.identifier
