-- What is known of each actor at a cut-off, from the time before it alone, as whole numbers `feature_0`, `feature_1` …; and whether
-- the goal was reached in the window after it. Counts end at a most, so that one who does something a thousand times is no other
-- actor than one who does it often. Device and channel are those of the last session that had begun.
-- grain: actor_key, cut_off_us
-- params: cut_offs_us ARRAY<INT64>, lookback_us INT64, window_us INT64, goals ARRAY<STRING>, last_hash STRING,
--   entries ARRAY<STRING>, stages ARRAY<INT64>, hesitations ARRAY<STRING>, devices ARRAY<STRING>, channels ARRAY<STRING>
-- structure: features, is_ordered
{% from 'analyses/propensity/_actors.sql' import actors_at_cut_offs with context %}
WITH {{ actors_at_cut_offs() }},

entry_places AS (
  SELECT entry, place, @stages[OFFSET(place)] AS stage, entry IN UNNEST(@hesitations) AS is_hesitation
  FROM UNNEST(@entries) AS entry WITH OFFSET AS place
),

acts AS (
  SELECT
    m.actor_key,
    cut_off_us,
    e.place,
    IF(e.is_hesitation, 0, e.stage) AS stage,
    e.is_hesitation,
    COALESCE(m.is_derived, FALSE) AS is_derived,
    UNIX_MICROS(m.event_at) AS at_us
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN entry_places AS e ON e.entry = m.micro_conversion
  CROSS JOIN UNNEST(@cut_offs_us) AS cut_off_us
  WHERE
    m.actor_key IS NOT NULL
    AND UNIX_MICROS(m.event_at) < cut_off_us
    AND UNIX_MICROS(m.event_at) >= cut_off_us - @lookback_us
    AND SUBSTR(TO_HEX(MD5(CAST(m.actor_key AS STRING))), 1, 6) <= @last_hash
),

counted_acts AS (
  SELECT
    a.actor_key,
    a.cut_off_us,
    COUNT(*) AS acts,
    COUNTIF(a.at_us >= a.cut_off_us - 3 * 86400000000) AS recent_acts,
    MAX(a.stage) AS stage,
    MAX(IF(a.is_derived, NULL, a.at_us)) AS last_us,
    MAX(IF(a.is_hesitation, NULL, a.at_us)) AS step_us,
    {% for feature in features if feature.kind == 'times' %}
    COUNTIF(a.place = {{ feature.place }}) AS times_{{ feature.place }},
    {% endfor %}
    MAX(IF(a.is_hesitation, a.at_us, NULL)) AS hesitation_us
  FROM acts AS a
  GROUP BY a.actor_key, a.cut_off_us
),

last_sessions AS (
  SELECT s.actor_key, s.cut_off_us, s.device_category, s.channel_group
  FROM seen_sessions AS s
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (PARTITION BY s.actor_key, s.cut_off_us ORDER BY s.started_us DESC, s.session_key DESC) = 1
),

{# Both lists are named, whichever of them the features look at. #}
given AS (
  SELECT @devices AS devices, @channels AS channels
)

SELECT
  a.actor_key,
  a.cut_off_us,
  {% for feature in features %}
  {% if feature.kind == 'times' %}
  LEAST(COALESCE(c.times_{{ feature.place }}, 0), {{ feature.most }})
  {% elif feature.kind == 'acts' %}
  LEAST(COALESCE(c.acts, 0), {{ feature.most }})
  {% elif feature.kind == 'recent_acts' %}
  LEAST(COALESCE(c.recent_acts, 0), {{ feature.most }})
  {% elif feature.kind == 'sessions' %}
  LEAST(a.sessions, {{ feature.most }})
  {% elif feature.kind == 'active_days' %}
  LEAST(a.active_days, {{ feature.most }})
  {% elif feature.kind == 'hours_since_last' %}
  DIV((a.cut_off_us - GREATEST(a.last_us, COALESCE(c.last_us, a.last_us))), 3600000000)
  {% elif feature.kind == 'hours_since_first' %}
  DIV((a.cut_off_us - a.first_us), 3600000000)
  {% elif feature.kind == 'returning' %}
  IF(a.is_returning, 1, 0)
  {% elif feature.kind == 'reached_stage' %}
  IF(COALESCE(c.stage, 0) >= {{ feature.place }}, 1, 0)
  {% elif feature.kind == 'hesitated_last' %}
  IF(COALESCE(c.hesitation_us, 0) > COALESCE(c.step_us, 0), 1, 0)
  {% elif feature.kind == 'device' %}
  IF(l.device_category = g.devices[OFFSET({{ feature.place }})], 1, 0)
  {% elif feature.kind == 'channel' %}
  IF(l.channel_group = g.channels[OFFSET({{ feature.place }})], 1, 0)
  {% endif %}
    AS feature_{{ loop.index0 }},
  {% endfor %}
  a.is_reached
FROM actors AS a
INNER JOIN last_sessions AS l ON l.actor_key = a.actor_key AND l.cut_off_us = a.cut_off_us
CROSS JOIN given AS g
LEFT JOIN counted_acts AS c ON c.actor_key = a.actor_key AND c.cut_off_us = a.cut_off_us
{% if is_ordered %}
ORDER BY a.actor_key, a.cut_off_us
{% endif %}
