-- How much there is of a user: what an erasure removes from the staged tables.
-- grain: what
-- params: none
-- structure: none
SELECT 'sessions' AS what, COUNT(*) AS found
FROM {{ relation('erased_sessions') }} AS s
UNION ALL
SELECT 'occurrences' AS what, COUNT(*) AS found
FROM {{ relation('mc_micro_conversions') }} AS m
INNER JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = m.actor_key
UNION ALL
SELECT 'rows of other systems' AS what, COUNT(*) AS found
FROM {{ relation('mc_external_events') }} AS e
INNER JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = e.user_key
UNION ALL
SELECT 'memberships' AS what, COUNT(*) AS found
FROM {{ relation('mc_segment_members') }} AS g
INNER JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = g.actor_key
UNION ALL
SELECT 'scores' AS what, COUNT(*) AS found
FROM {{ relation('mc_propensity_scores') }} AS p
INNER JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = p.actor_key
ORDER BY what
