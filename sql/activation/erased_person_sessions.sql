-- The sessions of the actors that a user is.
-- grain: session_key
-- params: none
-- structure: none
SELECT s.session_key
FROM {{ relation('mc_sessions') }} AS s
INNER JOIN {{ relation('erased_actors') }} AS a ON a.actor_key = s.actor_key
