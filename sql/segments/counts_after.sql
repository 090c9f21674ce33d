-- How many are in each segment after a build.
-- grain: segment
-- params: none
-- structure: none
WITH
{% include 'segments/_member_history.sql' %}
,

members AS (
  SELECT h.segment, IF(c.actor_key IS NULL, h.user_id, c.user_id) AS user_id
  FROM history AS h
  LEFT JOIN {{ relation('member_changes') }} AS c ON c.segment = h.segment AND c.actor_key = h.actor_key
  WHERE h.until IS NULL AND COALESCE(c.change != 'left', TRUE)
  UNION ALL
  SELECT c.segment, c.user_id
  FROM {{ relation('member_changes') }} AS c
  WHERE c.change = 'entered'
)

SELECT m.segment, COUNT(*) AS members, COUNT(m.user_id) AS with_user_id
FROM members AS m
GROUP BY m.segment
ORDER BY m.segment
