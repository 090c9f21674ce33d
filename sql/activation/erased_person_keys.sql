-- The clients and sessions of a user, as they are kept so that no import brings them back.
-- grain: kind, key
-- params: user_hash STRING
-- structure: none
SELECT 'client' AS kind, c.client_key AS key, @user_hash AS user_hash
FROM {{ relation('erased_clients') }} AS c
UNION ALL
SELECT 'session' AS kind, s.session_key AS key, @user_hash AS user_hash
FROM {{ relation('erased_sessions') }} AS s
