-- The stays of actors in a segment, the latest first.
-- grain: actor_key, since
-- params: actor_keys ARRAY<INT64>, segment STRING
-- structure: none
SELECT g.actor_key, g.since, g.until, g.rule_version, g.run_id, g.reason
FROM {{ relation('mc_segment_members') }} AS g
WHERE g.segment = @segment AND g.actor_key IN UNNEST(@actor_keys)
ORDER BY g.since DESC, g.actor_key
