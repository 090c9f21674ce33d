-- All memberships of the actors that a build changes anything for, as they are afterwards: they replace those before.
-- grain: segment, actor_key, since
-- params: as_of TIMESTAMP, run_id STRING
-- structure: none
WITH
{% include 'segments/_member_history.sql' %}
,

changed_actors AS (
  SELECT c.actor_key
  FROM {{ relation('member_changes') }} AS c
  UNION DISTINCT
  SELECT COALESCE(v.new_actor_key, v.actor_key) AS actor_key
  FROM {{ relation('moved_members') }} AS v
)

SELECT
  h.segment,
  h.actor_key,
  IF(c.actor_key IS NULL, h.user_id, c.user_id) AS user_id,
  h.since,
  IF(c.change = 'left', @as_of, h.until) AS until,
  COALESCE(c.rule_version, h.rule_version) AS rule_version,
  h.run_id,
  IF(c.change = 'left', c.reason, h.reason) AS reason
FROM history AS h
INNER JOIN changed_actors AS a ON a.actor_key = h.actor_key
LEFT JOIN {{ relation('member_changes') }} AS c
  ON c.segment = h.segment AND c.actor_key = h.actor_key AND h.until IS NULL
UNION ALL
SELECT
  c.segment,
  c.actor_key,
  c.user_id,
  c.since,
  CAST(NULL AS TIMESTAMP) AS until,
  c.rule_version,
  @run_id AS run_id,
  CAST(NULL AS STRING) AS reason
FROM {{ relation('member_changes') }} AS c
WHERE c.change = 'entered'
