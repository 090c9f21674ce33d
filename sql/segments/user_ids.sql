-- How many sessions have a user id: without any, nobody can be looked up in the identity table.
-- grain: none
-- params: none
-- structure: none
SELECT COUNT(*) AS sessions
FROM {{ relation('mc_sessions') }} AS s
WHERE s.user_id IS NOT NULL
