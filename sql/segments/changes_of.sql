-- Who enters and who leaves a segment with the build that was worked out last.
-- grain: actor_key
-- params: segment STRING, most INT64
-- structure: none
SELECT c.change, c.reason, c.actor_key, c.user_id
FROM {{ relation('member_changes') }} AS c
WHERE c.segment = @segment AND c.change != 'stays'
ORDER BY c.change, c.actor_key
LIMIT @most
