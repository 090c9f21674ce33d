{# All memberships under the keys that actors have now (`moved_members.sql`), as the common table expression `history`.

   Where a client and a user turn out to be one, stays in one segment that overlap or meet are one stay: it began with the
   earlier. `is_gone` is who nobody stands for any more. #}
renamed AS (
  SELECT
    m.segment,
    COALESCE(v.new_actor_key, m.actor_key) AS actor_key,
    IF(v.new_actor_key IS NULL, m.user_id, v.new_user_id) AS user_id,
    m.since,
    m.until,
    m.rule_version,
    m.run_id,
    m.reason,
    v.actor_key IS NOT NULL AND v.new_actor_key IS NULL AS is_gone
  FROM {{ relation('mc_segment_members') }} AS m
  LEFT JOIN {{ relation('moved_members') }} AS v ON v.actor_key = m.actor_key
),

joined_actors AS (
  SELECT v.new_actor_key AS actor_key
  FROM {{ relation('moved_members') }} AS v
  WHERE v.new_actor_key IS NOT NULL
  GROUP BY v.new_actor_key
),

ends AS (
  SELECT
    r.segment, r.actor_key, r.user_id, r.since, r.until, r.rule_version, r.run_id, r.reason, r.is_gone,
    COALESCE(UNIX_MICROS(r.until), 9223372036854775807) AS until_us
  FROM renamed AS r
  INNER JOIN joined_actors AS a ON a.actor_key = r.actor_key
),

beginnings AS (
  SELECT
    e.*,
    IF(
      COALESCE(
        UNIX_MICROS(e.since) <= MAX(e.until_us) OVER (
          PARTITION BY e.segment, e.actor_key
          ORDER BY e.since, e.until_us, e.run_id
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        FALSE
      ),
      0,
      1
    ) AS begins
  FROM ends AS e
),

parts AS (
  SELECT
    b.*,
    SUM(b.begins) OVER (
      PARTITION BY b.segment, b.actor_key
      ORDER BY b.since, b.until_us, b.run_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stay
  FROM beginnings AS b
),

history AS (
  SELECT r.segment, r.actor_key, r.user_id, r.since, r.until, r.rule_version, r.run_id, r.reason, r.is_gone
  FROM renamed AS r
  LEFT JOIN joined_actors AS a ON a.actor_key = r.actor_key
  WHERE a.actor_key IS NULL
  UNION ALL
  SELECT
    p.segment,
    p.actor_key,
    MAX(p.user_id) AS user_id,
    MIN(p.since) AS since,
    IF(LOGICAL_OR(p.until IS NULL), NULL, MAX(p.until)) AS until,
    ARRAY_AGG(p.rule_version ORDER BY p.until_us DESC, p.since, p.rule_version LIMIT 1)[OFFSET(0)] AS rule_version,
    ARRAY_AGG(p.run_id ORDER BY p.since, p.until_us, p.run_id LIMIT 1)[OFFSET(0)] AS run_id,
    ARRAY_AGG(p.reason ORDER BY p.until_us DESC, p.since, p.reason LIMIT 1)[OFFSET(0)] AS reason,
    FALSE AS is_gone
  FROM parts AS p
  GROUP BY p.segment, p.actor_key, p.stay
)
