-- What a build changes: who enters a segment, who leaves it and why, and who stays with another rule or user id.
-- Segments are given in the order in which they are looked at; those with one number of a route share nobody.
-- Who is in leaves when `expires_us` is over, or when the rule no longer holds and `held_us` is over; a stay under another
-- rule is not held. Who is out enters when the rule holds and `away_us` has passed since it left. In a route an actor is in
-- the first segment that fits, but moves only when `held_us` of the one that it is in is over. An actor enters at most
-- `at_most` segments in `per_us`; those looked at first come first. What is NULL or 0 does not limit anything.
-- grain: segment, actor_key
-- params: as_of TIMESTAMP, segments ARRAY<STRING>, routes ARRAY<INT64>, held_us ARRAY<INT64>, expires_us ARRAY<INT64>,
-- away_us ARRAY<INT64>, rule_versions ARRAY<STRING>, at_most INT64, per_us INT64
-- structure: matches
WITH
{% include 'segments/_member_history.sql' %}
,

given AS (
  SELECT
    place,
    segment,
    @routes[OFFSET(place)] AS route,
    @held_us[OFFSET(place)] AS held_us,
    @expires_us[OFFSET(place)] AS expires_us,
    @away_us[OFFSET(place)] AS away_us,
    @rule_versions[OFFSET(place)] AS rule_version
  FROM UNNEST(@segments) AS segment WITH OFFSET AS place
),

settings AS (
  SELECT g.*, COUNT(*) OVER (PARTITION BY g.route) > 1 AS is_shared
  FROM given AS g
),

matches AS (
  {# Without any segment there is nobody, in the same columns. #}
  SELECT 0 AS place, m.actor_key, m.user_id
  FROM {{ relation('mc_segment_members') }} AS m
  WHERE FALSE
  {% for place in range(matches) %}
  UNION ALL
  SELECT {{ place }} AS place, m.actor_key, m.user_id
  FROM {{ relation('segment_matches_' ~ place) }} AS m
  {% endfor %}
),

stays AS (
  SELECT s.place, h.actor_key, h.user_id, h.since, h.rule_version, h.is_gone
  FROM history AS h
  INNER JOIN settings AS s ON s.segment = h.segment
  WHERE h.until IS NULL
),

exits AS (
  SELECT s.place, h.actor_key, MAX(h.until) AS until
  FROM history AS h
  INNER JOIN settings AS s ON s.segment = h.segment
  WHERE h.until IS NOT NULL
  GROUP BY s.place, h.actor_key
),

both AS (
  SELECT
    COALESCE(t.place, m.place) AS place,
    COALESCE(t.actor_key, m.actor_key) AS actor_key,
    COALESCE(m.user_id, t.user_id) AS user_id,
    t.user_id AS old_user_id,
    t.since,
    t.rule_version AS old_rule_version,
    COALESCE(t.is_gone, FALSE) AS is_gone,
    m.actor_key IS NOT NULL AS is_matching
  FROM stays AS t
  FULL JOIN matches AS m ON m.place = t.place AND m.actor_key = t.actor_key
),

ages AS (
  SELECT
    b.*,
    s.segment,
    s.route,
    s.is_shared,
    s.rule_version,
    COALESCE(s.expires_us > 0 AND UNIX_MICROS(@as_of) - UNIX_MICROS(b.since) >= s.expires_us, FALSE) AS is_expired,
    COALESCE(s.held_us > 0 AND UNIX_MICROS(@as_of) - UNIX_MICROS(b.since) < s.held_us, FALSE) AS is_held,
    {# Who left at this very moment has left. #}
    COALESCE(UNIX_MICROS(@as_of) - UNIX_MICROS(e.until) < GREATEST(s.away_us, 1), FALSE) AS is_away
  FROM both AS b
  INNER JOIN settings AS s ON s.place = b.place
  LEFT JOIN exits AS e ON e.place = b.place AND e.actor_key = b.actor_key
),

claims AS (
  SELECT
    a.*,
    a.since IS NOT NULL
      AND NOT a.is_expired
      AND NOT a.is_gone
      AND (a.is_matching OR a.is_held AND a.old_rule_version = a.rule_version) AS may_stay,
    a.since IS NULL AND a.is_matching AND NOT a.is_away AS may_enter
  FROM ages AS a
),

choices AS (
  {# Whoever is alone in a route is chosen: only few need to be put in order. #}
  SELECT c.*, c.may_stay OR c.may_enter AS is_chosen, c.may_stay AS is_way_back
  FROM claims AS c
  WHERE NOT c.is_shared
  UNION ALL
  SELECT
    c.*,
    (c.may_stay OR c.may_enter)
      AND ROW_NUMBER() OVER (
        PARTITION BY c.actor_key, c.route
        ORDER BY IF(c.may_stay OR c.may_enter, 0, 1), IF(c.may_stay AND c.is_held, 0, 1), c.place
      ) = 1 AS is_chosen,
    c.may_stay
      AND ROW_NUMBER() OVER (PARTITION BY c.actor_key, c.route ORDER BY IF(c.may_stay, 0, 1), c.place) = 1
      AS is_way_back
  FROM claims AS c
  WHERE c.is_shared
),

recent_entries AS (
  SELECT h.actor_key, COUNT(*) AS entries
  FROM history AS h
  WHERE UNIX_MICROS(@as_of) - UNIX_MICROS(h.since) < @per_us
  GROUP BY h.actor_key
),

entries AS (
  SELECT c.actor_key, c.route, ROW_NUMBER() OVER (PARTITION BY c.actor_key ORDER BY c.place) AS turn
  FROM choices AS c
  WHERE c.is_chosen AND NOT c.may_stay AND @at_most IS NOT NULL
),

refused_entries AS (
  SELECT e.actor_key, e.route
  FROM entries AS e
  LEFT JOIN recent_entries AS r ON r.actor_key = e.actor_key
  WHERE e.turn + COALESCE(r.entries, 0) > @at_most
),

outcomes AS (
  SELECT
    c.segment,
    c.actor_key,
    c.user_id,
    c.since,
    c.rule_version,
    c.old_rule_version IS DISTINCT FROM c.rule_version OR c.old_user_id IS DISTINCT FROM c.user_id AS differs,
    {# Who may not enter the next segment of a route stays where it is. #}
    IF(r.actor_key IS NULL, c.is_chosen, c.is_way_back) AS is_in,
    CASE WHEN c.is_expired THEN 'expired' WHEN c.may_stay THEN 'routed elsewhere' ELSE 'no longer matches' END AS reason
  FROM choices AS c
  LEFT JOIN refused_entries AS r ON r.actor_key = c.actor_key AND r.route = c.route
)

SELECT
  o.segment,
  o.actor_key,
  o.user_id,
  IF(o.is_in AND o.since IS NULL, @as_of, o.since) AS since,
  IF(o.is_in, o.rule_version, NULL) AS rule_version,
  CASE WHEN NOT o.is_in THEN 'left' WHEN o.since IS NULL THEN 'entered' ELSE 'stays' END AS change,
  IF(o.is_in, NULL, o.reason) AS reason
FROM outcomes AS o
WHERE IF(o.is_in, o.since IS NULL OR o.differs, o.since IS NOT NULL)
UNION ALL
SELECT
  h.segment,
  h.actor_key,
  h.user_id,
  h.since,
  CAST(NULL AS STRING) AS rule_version,
  'left' AS change,
  'removed' AS reason
FROM history AS h
WHERE h.until IS NULL AND h.segment NOT IN UNNEST(@segments)
