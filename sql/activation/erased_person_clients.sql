-- The clients of a user that nobody else used.
-- grain: client_key
-- params: none
-- structure: none
SELECT s.client_key
FROM {{ relation('mc_sessions') }} AS s
LEFT JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = s.actor_key
WHERE s.client_key IS NOT NULL
GROUP BY s.client_key
HAVING COUNT(*) = COUNT(a.actor_key)
