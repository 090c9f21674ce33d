-- Who is in a segment after the build that was worked out last, whether it was written or not.
-- grain: actor_key
-- params: segment STRING
-- structure: none
WITH
{% include 'segments/_member_history.sql' %}
,

members AS (
  SELECT h.actor_key, IF(c.actor_key IS NULL, h.user_id, c.user_id) AS user_id
  FROM history AS h
  LEFT JOIN {{ relation('member_changes') }} AS c ON c.segment = h.segment AND c.actor_key = h.actor_key
  WHERE h.segment = @segment AND h.until IS NULL AND COALESCE(c.change != 'left', TRUE)
  UNION ALL
  SELECT c.actor_key, c.user_id
  FROM {{ relation('member_changes') }} AS c
  WHERE c.segment = @segment AND c.change = 'entered'
)

SELECT m.actor_key, m.user_id
FROM members AS m
ORDER BY m.actor_key
