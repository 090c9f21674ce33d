-- Untouched sessions whose actor changed: a user came to be known for their client, or a second one did.
-- grain: session_key
-- params: none
SELECT n.session_key, n.actor_key
FROM {{ relation('sessions') }} AS n
INNER JOIN {{ relation('mc_sessions') }} AS o ON o.session_key = n.session_key
LEFT JOIN {{ relation('touched_sessions') }} AS t ON t.session_key = n.session_key
WHERE t.session_key IS NULL AND n.actor_key != o.actor_key
