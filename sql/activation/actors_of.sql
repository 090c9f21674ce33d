-- The actors that a user id stands for, or one that is named by its key; with the user id that it signed in with.
-- grain: actor_key
-- params: user_id STRING, actor_key INT64
-- structure: none
WITH known AS (
  SELECT s.actor_key, s.user_id
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id = @user_id OR s.actor_key = @actor_key
  UNION ALL
  SELECT e.user_key AS actor_key, e.user_id
  FROM {{ relation('mc_external_events') }} AS e
  WHERE e.user_id = @user_id OR e.user_key = @actor_key
)

SELECT k.actor_key, MIN(k.user_id) AS user_id
FROM known AS k
WHERE k.actor_key IS NOT NULL
GROUP BY k.actor_key
ORDER BY k.actor_key
