-- Actors with memberships who are staged under another key now: a client that became a user has the user's key. NULL where
-- nobody stands for them any more, or several users do; of those only who is in a segment is told.
-- grain: actor_key
-- params: none
-- structure: none
WITH members AS (
  SELECT m.actor_key, LOGICAL_OR(m.until IS NULL) AS is_in
  FROM {{ relation('mc_segment_members') }} AS m
  GROUP BY m.actor_key
),

staged AS (
  SELECT s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL
  UNION DISTINCT
  SELECT c.actor_key
  FROM {{ relation('mc_micro_conversions') }} AS c
  WHERE c.actor_key IS NOT NULL
),

gone AS (
  SELECT m.actor_key, m.is_in
  FROM members AS m
  LEFT JOIN staged AS s ON s.actor_key = m.actor_key
  WHERE s.actor_key IS NULL
),

clients AS (
  SELECT s.client_key, s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  UNION ALL
  SELECT c.client_key, c.actor_key
  FROM {{ relation('mc_micro_conversions') }} AS c
),

successors AS (
  SELECT g.actor_key, MIN(c.actor_key) AS new_actor_key
  FROM gone AS g
  INNER JOIN clients AS c ON c.client_key = g.actor_key
  GROUP BY g.actor_key
  HAVING MIN(c.actor_key) = MAX(c.actor_key)
),

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
  SELECT n.actor_key, MIN(k.user_id) AS user_id
  FROM successors AS n
  INNER JOIN known_users AS k ON k.actor_key = n.new_actor_key
  GROUP BY n.actor_key
)

SELECT g.actor_key, n.new_actor_key, u.user_id AS new_user_id
FROM gone AS g
LEFT JOIN successors AS n ON n.actor_key = g.actor_key
LEFT JOIN users AS u ON u.actor_key = g.actor_key
WHERE g.is_in OR n.new_actor_key IS NOT NULL
