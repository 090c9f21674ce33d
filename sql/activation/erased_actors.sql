-- The actors that a user is, one for each property; `user_key` is the same under the name that other systems' rows have.
-- grain: actor_key
-- params: user_id STRING
-- structure: none
WITH actors AS (
  SELECT s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id = @user_id
  UNION DISTINCT
  SELECT e.user_key AS actor_key
  FROM {{ relation('mc_external_events') }} AS e
  WHERE e.user_id = @user_id
)

SELECT a.actor_key, a.actor_key AS user_key
FROM actors AS a
WHERE a.actor_key IS NOT NULL
