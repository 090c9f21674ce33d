-- Actors who did one micro-conversion at least n times in the time up to as_of, both ends included, and did not do
-- another after it, nor in a time of its own; with the user id when the actor is a user. Occurrences with the same
-- transaction id count once, at the earliest.
-- grain: actor_key
-- params: did STRING, not_did STRING, at_least INT64, within_us INT64, not_within_us INT64, as_of TIMESTAMP
-- structure: none
WITH
{% include 'segments/_matching.sql' %}
,

-- Whom the export does not know, another system may.
known_users AS (
  SELECT s.actor_key, s.user_id
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id IS NOT NULL
  UNION ALL
  SELECT e.user_key AS actor_key, e.user_id
  FROM {{ relation('mc_external_events') }} AS e
  WHERE e.user_id IS NOT NULL
),

users AS (
  SELECT k.actor_key, MIN(k.user_id) AS user_id
  FROM known_users AS k
  GROUP BY k.actor_key
)

SELECT m.actor_key, u.user_id
FROM matching AS m
LEFT JOIN users AS u ON u.actor_key = m.actor_key
ORDER BY m.actor_key
