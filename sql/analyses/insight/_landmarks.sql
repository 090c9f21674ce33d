{#
  Who is looked at, at a moment after they began: actors who had not reached the goal by then, and whom the data follow for the
  whole window after it. Half of the actors are for finding, half for testing; an actor's half is a piece of a hash of its key.
  Actors whose first session in the data was not their first are left out: what they did before is unknown.
#}
{% macro actors_at_landmarks() -%}
first_sessions AS (
  SELECT
    s.actor_key,
    DIV(UNIX_MICROS(s.started_at), 1000) AS began_ms,
    COALESCE(s.session_number, 1) > 1 AS began_before,
    s.session_date,
    ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) AS place
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at < @end_at
),

began AS (
  SELECT f.actor_key, f.began_ms
  FROM first_sessions AS f
  WHERE
    f.place = 1
    AND NOT f.began_before
    AND (@first_date IS NULL OR f.session_date >= @first_date)
    AND (@last_date IS NULL OR f.session_date <= @last_date)
),

goals AS (
  SELECT m.actor_key, MIN(DIV(UNIX_MICROS(m.event_at), 1000)) AS goal_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@goals) AND m.actor_key IS NOT NULL AND m.event_at < @end_at
  GROUP BY m.actor_key
),

at_landmarks AS (
  SELECT
    b.actor_key,
    landmark_ms,
    b.began_ms + landmark_ms AS moment_ms,
    IF(SUBSTR(TO_HEX(MD5(CAST(b.actor_key AS STRING))), 1, 1) < '8', 1, 2) AS half,
    COALESCE(g.goal_ms < b.began_ms + landmark_ms + @window_ms, FALSE) AS is_reached
  FROM began AS b
  CROSS JOIN UNNEST(@landmarks_ms) AS landmark_ms
  LEFT JOIN goals AS g ON g.actor_key = b.actor_key
  WHERE
    b.began_ms + landmark_ms + @window_ms <= DIV(UNIX_MICROS(@end_at), 1000)
    AND (g.goal_ms IS NULL OR g.goal_ms >= b.began_ms + landmark_ms)
)
{%- endmacro %}
