-- Who is in a segment, by the last build.
-- grain: actor_key
-- params: segment STRING
-- structure: none
SELECT m.actor_key, m.user_id
FROM {{ relation('mc_segment_members') }} AS m
WHERE m.segment = @segment AND m.until IS NULL
ORDER BY m.actor_key
