-- What a build changes: actors by segment, change and reason.
-- grain: segment, change, reason
-- params: none
-- structure: none
SELECT c.segment, c.change, c.reason, COUNT(*) AS actors, COUNT(c.user_id) AS with_user_id
FROM {{ relation('member_changes') }} AS c
GROUP BY c.segment, c.change, c.reason
ORDER BY c.segment, c.change, c.reason
