{# How far each actor was at the end of each of some weeks, as common table expressions up to `standings`. #}
steps AS (
  SELECT entry, @points[OFFSET(place)] AS points
  FROM UNNEST(@entries) AS entry WITH OFFSET AS place
),

{# An entry done twice on a day counts once. What time alone made true (an abandoned cart) is no sign that anybody was there. #}
done AS (
  SELECT
    m.actor_key,
    m.event_date,
    m.micro_conversion,
    s.points,
    MAX(m.event_order) AS latest_order,
    LOGICAL_OR(s.entry IS NOT NULL OR NOT m.is_derived) AS is_presence
  FROM {{ relation('mc_micro_conversions') }} AS m
  LEFT JOIN steps AS s ON s.entry = m.micro_conversion
  WHERE
    m.actor_key IS NOT NULL
    AND (s.entry IS NOT NULL OR m.micro_conversion IN UNNEST(@hesitations) OR m.micro_conversion IN UNNEST(@goals))
    AND m.event_date <= @end_date
    AND (@first_date IS NULL OR m.event_date >= @first_date)
    {% if segment %}
    AND m.actor_key IN (SELECT a.actor_key FROM matching AS a)
    {% endif %}
  GROUP BY m.actor_key, m.event_date, m.micro_conversion, s.points
),

actor_days AS (
  SELECT
    d.actor_key,
    d.event_date,
    SUM(COALESCE(d.points, 0)) AS points,
    MAX(d.points) AS stage,
    MAX(IF(d.points IS NOT NULL, d.latest_order, NULL)) AS step_order,
    MAX(IF(d.micro_conversion IN UNNEST(@hesitations), d.latest_order, NULL)) AS hesitation_order,
    LOGICAL_OR(d.micro_conversion IN UNNEST(@goals)) AS is_goal,
    LOGICAL_OR(d.is_presence) AS is_presence
  FROM done AS d
  GROUP BY d.actor_key, d.event_date
),

presences AS (
  SELECT
    a.actor_key,
    a.event_date,
    DATE_DIFF(a.event_date, LAG(a.event_date) OVER (PARTITION BY a.actor_key ORDER BY a.event_date), DAY) AS pause_days
  FROM actor_days AS a
  WHERE a.is_presence
),

standings AS (
  SELECT
    a.actor_key,
    weeks_ago,
    MIN(a.event_date) AS first_date,
    MAX(IF(a.is_presence, a.event_date, NULL)) AS last_date,
    COUNTIF(a.is_presence) AS active_days,
    MAX(p.pause_days) AS longest_pause_days,
    SUM(
      IF(a.event_date > DATE_SUB(@end_date, INTERVAL 7 * weeks_ago + @window_days DAY), a.points, 0)
    ) AS points_now,
    SUM(
      IF(a.event_date > DATE_SUB(@end_date, INTERVAL 7 * weeks_ago + @window_days DAY), 0, a.points)
    ) AS points_before,
    MAX(a.stage) AS stage,
    MAX(a.step_order) AS step_order,
    MAX(a.hesitation_order) AS hesitation_order,
    LOGICAL_OR(a.is_goal) AS is_converted
  FROM actor_days AS a
  INNER JOIN UNNEST(@weeks_ago) AS weeks_ago ON a.event_date <= DATE_SUB(@end_date, INTERVAL 7 * weeks_ago DAY)
  LEFT JOIN presences AS p ON p.actor_key = a.actor_key AND p.event_date = a.event_date
  GROUP BY a.actor_key, weeks_ago
)
