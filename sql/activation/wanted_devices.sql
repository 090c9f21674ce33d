-- The devices of the people who are wanted on a list, each with the user who signed in on it: a client id, `between`, a user
-- id. A device on which several users signed in, in any property, is nobody's and is left out.
-- grain: kind, identifier
-- params: property STRING, is_app BOOL, between STRING
-- structure: none
WITH signed_in AS (
  SELECT
    e.user_pseudo_id,
    e.user_id,
    COUNTIF((@property IS NULL OR e.property = @property) AND COALESCE(e.platform IN ('IOS', 'ANDROID'), FALSE) = @is_app) AS fitting
  FROM {{ relation('mc_events') }} AS e
  WHERE e.user_pseudo_id IS NOT NULL AND e.user_id IS NOT NULL AND STRPOS(e.user_pseudo_id, @between) = 0
  GROUP BY e.user_pseudo_id, e.user_id
),

owned AS (
  SELECT s.user_pseudo_id, MIN(s.user_id) AS user_id
  FROM signed_in AS s
  GROUP BY s.user_pseudo_id
  HAVING COUNT(*) = 1 AND SUM(s.fitting) > 0
)

SELECT 'device' AS kind, CONCAT(o.user_pseudo_id, @between, o.user_id) AS identifier, COUNT(*) AS people
FROM owned AS o
INNER JOIN {{ relation('push_rows') }} AS r ON r.kind = 'user_id' AND r.identifier = o.user_id
GROUP BY o.user_pseudo_id, o.user_id
