-- How many actors came upon each page, item, video or campaign (or one and then another) before each goal, and how many of them reach
-- it within a window after that. Each actor counts once for each content and goal, from the first time on; who reached the goal by
-- then or within `lag_ms` after it, and whom the data do not follow for the whole window, is left out. `seen` is which content of the
-- actor it was, 1 the first, up to `most_seen`, which stands for all later ones: among those of one number, each actor counts once.
-- The contents that most actors came upon are returned; `all_actors` and `all_reached` are sums over all contents of one number,
-- `everybody_reached` are different actors, of any number.
-- grain: goal, content, seen
-- params: goals ARRAY<STRING>, window_ms INT64, lag_ms INT64, most INT64, most_seen INT64, end_at TIMESTAMP, first_date DATE,
--   last_date DATE, stages ARRAY<STRING>
-- structure: what, column, sequences
{% from '_urls.sql' import path with context %}
WITH
{% if what == 'page' %}
views AS (
  SELECT s.actor_key, v.page_location, v.event_order, DIV(UNIX_MICROS(v.event_at), 1000) AS at_ms
  FROM {{ relation('mc_events') }} AS v
  INNER JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = v.session_key
  WHERE
    v.event_name IN ('page_view', 'screen_view')
    AND v.page_location IS NOT NULL
    AND s.actor_key IS NOT NULL
    AND v.event_at < @end_at
    AND (@first_date IS NULL OR v.event_date >= @first_date)
    AND (@last_date IS NULL OR v.event_date <= @last_date)
),

addresses AS (
  SELECT a.page_location, {{ path('a.page_location' | identifier) }} AS content
  FROM (SELECT v.page_location FROM views AS v GROUP BY v.page_location) AS a
),

exposures AS (
  SELECT v.actor_key, a.content, v.at_ms, v.event_order
  FROM views AS v
  INNER JOIN addresses AS a ON a.page_location = v.page_location
),
{% elif what in ('campaign', 'email') %}
exposures AS (
  SELECT
    s.actor_key,
    {% if what == 'email' %}COALESCE(s.campaign, s.source){% else %}s.campaign{% endif %} AS content,
    DIV(UNIX_MICROS(s.started_at), 1000) AS at_ms,
    s.session_key AS event_order
  FROM {{ relation('mc_sessions') }} AS s
  WHERE
    {% if what == 'email' %}
    s.channel_group = 'Email'
    AND COALESCE(s.campaign, s.source) IS NOT NULL
    {% else %}
    s.campaign IS NOT NULL
    {% endif %}
    AND s.actor_key IS NOT NULL
    AND s.started_at < @end_at
    AND (@first_date IS NULL OR s.session_date >= @first_date)
    AND (@last_date IS NULL OR s.session_date <= @last_date)
),
{% else %}
exposures AS (
  SELECT m.actor_key, line AS content, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms, m.event_order
  FROM {{ relation('mc_micro_conversions') }} AS m
  CROSS JOIN UNNEST(SPLIT(m.{{ column | identifier }}, '\n')) AS line
  WHERE
    m.stage IN UNNEST(@stages)
    AND line != ''
    AND m.actor_key IS NOT NULL
    AND m.event_at < @end_at
    AND (@first_date IS NULL OR m.event_date >= @first_date)
    AND (@last_date IS NULL OR m.event_date <= @last_date)
),
{% endif %}

{% if sequences %}
ordered AS (
  SELECT
    e.actor_key,
    e.content,
    e.at_ms,
    LAG(e.content) OVER (PARTITION BY e.actor_key ORDER BY e.at_ms, e.event_order, e.content) AS content_before
  FROM exposures AS e
),

named AS (
  SELECT o.actor_key, CONCAT(o.content_before, ' > ', o.content) AS content, o.at_ms
  FROM ordered AS o
  WHERE o.content_before != o.content
),
{% else %}
named AS (
  SELECT e.actor_key, e.content, e.at_ms
  FROM exposures AS e
),
{% endif %}

first_exposures AS (
  SELECT n.actor_key, n.content, MIN(n.at_ms) AS at_ms
  FROM named AS n
  GROUP BY n.actor_key, n.content
),

goals AS (
  SELECT m.actor_key, m.micro_conversion AS goal, MIN(DIV(UNIX_MICROS(m.event_at), 1000)) AS goal_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@goals) AND m.actor_key IS NOT NULL AND m.event_at < @end_at
  GROUP BY m.actor_key, m.micro_conversion
),

numbered AS (
  SELECT
    f.actor_key,
    f.content,
    f.at_ms,
    LEAST(ROW_NUMBER() OVER (PARTITION BY f.actor_key ORDER BY f.at_ms, f.content), @most_seen) AS seen
  FROM first_exposures AS f
),

exposed AS (
  SELECT
    f.actor_key,
    f.content,
    f.seen,
    asked AS goal,
    f.at_ms + @window_ms <= DIV(UNIX_MICROS(@end_at), 1000)
    AND (g.goal_ms IS NULL OR g.goal_ms > f.at_ms + @lag_ms) AS is_counted,
    COALESCE(g.goal_ms < f.at_ms + @window_ms, FALSE) AS is_reached
  FROM numbered AS f
  CROSS JOIN UNNEST(@goals) AS asked
  LEFT JOIN goals AS g ON g.actor_key = f.actor_key AND g.goal = asked
),

counted AS (
  SELECT
    e.content,
    e.goal,
    e.seen,
    COUNTIF(e.is_counted) AS actors,
    COUNTIF(e.is_counted AND e.is_reached) AS reached
  FROM exposed AS e
  GROUP BY e.content, e.goal, e.seen
),

of_number AS (
  SELECT c.goal, c.seen, SUM(c.actors) AS all_actors, SUM(c.reached) AS all_reached
  FROM counted AS c
  GROUP BY c.goal, c.seen
),

everybody AS (
  SELECT e.goal, COUNT(DISTINCT IF(e.is_counted AND e.is_reached, e.actor_key, NULL)) AS everybody_reached
  FROM exposed AS e
  GROUP BY e.goal
),

of_content AS (
  SELECT c.goal, c.content, SUM(c.actors) AS actors
  FROM counted AS c
  GROUP BY c.goal, c.content
),

ranked AS (
  SELECT
    o.content,
    o.goal,
    COUNT(*) OVER (PARTITION BY o.goal) AS contents,
    ROW_NUMBER() OVER (PARTITION BY o.goal ORDER BY o.actors DESC, o.content) AS place
  FROM of_content AS o
)

SELECT
  r.content,
  r.goal,
  c.seen,
  c.actors,
  c.reached,
  n.all_actors,
  n.all_reached,
  e.everybody_reached,
  r.contents
FROM ranked AS r
INNER JOIN counted AS c ON c.content = r.content AND c.goal = r.goal
INNER JOIN of_number AS n ON n.goal = r.goal AND n.seen = c.seen
INNER JOIN everybody AS e ON e.goal = r.goal
WHERE r.place <= @most
ORDER BY r.goal, r.place, c.seen
