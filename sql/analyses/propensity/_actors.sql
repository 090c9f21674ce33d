{#
  Who is looked at, at each of some moments (cut-offs): actors with a session in the time before it, who had not reached the goal by
  then. Nothing at the cut-off or after it counts but whether the goal was reached in the window. `last_hash` keeps a part of the
  actors: those whose piece of a hash is not after it.
#}
{% macro actors_at_cut_offs() -%}
seen_sessions AS (
  SELECT
    s.actor_key,
    cut_off_us,
    s.session_key,
    s.session_date,
    COALESCE(s.session_number, 1) > 1 AS is_returning,
    s.device_category,
    s.channel_group,
    UNIX_MICROS(s.started_at) AS started_us
  FROM {{ relation('mc_sessions') }} AS s
  CROSS JOIN UNNEST(@cut_offs_us) AS cut_off_us
  WHERE
    s.actor_key IS NOT NULL
    AND UNIX_MICROS(s.started_at) < cut_off_us
    AND UNIX_MICROS(s.started_at) >= cut_off_us - @lookback_us
    AND SUBSTR(TO_HEX(MD5(CAST(s.actor_key AS STRING))), 1, 6) <= @last_hash
),

seen_actors AS (
  SELECT
    s.actor_key,
    s.cut_off_us,
    COUNT(*) AS sessions,
    COUNT(DISTINCT s.session_date) AS active_days,
    MIN(s.started_us) AS first_us,
    MAX(s.started_us) AS last_us,
    LOGICAL_OR(s.is_returning) AS is_returning
  FROM seen_sessions AS s
  GROUP BY s.actor_key, s.cut_off_us
),

goals AS (
  SELECT m.actor_key, MIN(UNIX_MICROS(m.event_at)) AS goal_us
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@goals) AND m.actor_key IS NOT NULL
  GROUP BY m.actor_key
),

actors AS (
  SELECT s.*, COALESCE(g.goal_us < s.cut_off_us + @window_us, FALSE) AS is_reached
  FROM seen_actors AS s
  LEFT JOIN goals AS g ON g.actor_key = s.actor_key
  WHERE g.goal_us IS NULL OR g.goal_us >= s.cut_off_us
)
{%- endmacro %}
