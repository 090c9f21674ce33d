-- How many actors had done each combination of `size` entries or fewer by a landmark, a time since they began, by how many different
-- entries they had done in all, and how many of them reach the goal within a window after it. A combination is one of sets, or with
-- `is_ordered` one of sequences: the entries in the order in which each was first done. One of none is everybody; places that a
-- combination does not need are empty. Only the `most_entries` count that most actors of the half with fewer had done.
-- grain: landmark_ms, half, first_entry, second_entry, third_entry, steps
-- params: entries ARRAY<STRING>, goals ARRAY<STRING>, landmarks_ms ARRAY<INT64>, window_ms INT64, most_entries INT64, end_at TIMESTAMP, first_date DATE, last_date DATE
-- structure: size, is_ordered
{% from 'analyses/insight/_landmarks.sql' import actors_at_landmarks with context %}
WITH {{ actors_at_landmarks() }},

occurrences AS (
  SELECT m.actor_key, m.micro_conversion, m.event_order, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entries) AND m.actor_key IS NOT NULL AND m.event_at < @end_at
),

done AS (
  SELECT a.landmark_ms, a.half, a.actor_key, a.is_reached, o.micro_conversion, MIN(o.event_order) AS first_order
  FROM at_landmarks AS a
  INNER JOIN occurrences AS o ON o.actor_key = a.actor_key
  WHERE o.at_ms < a.moment_ms
  GROUP BY a.landmark_ms, a.half, a.actor_key, a.is_reached, o.micro_conversion
),

doers AS (
  SELECT d.landmark_ms, d.micro_conversion, LEAST(COUNTIF(d.half = 1), COUNTIF(d.half = 2)) AS actors
  FROM done AS d
  GROUP BY d.landmark_ms, d.micro_conversion
),

usual AS (
  SELECT d.landmark_ms, d.micro_conversion
  FROM doers AS d
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY d.landmark_ms ORDER BY d.actors DESC, d.micro_conversion) <= @most_entries
),

by_actor AS (
  SELECT
    d.landmark_ms,
    d.actor_key,
    STRING_AGG(
      d.micro_conversion, ','
      ORDER BY {% if is_ordered %}d.first_order, {% endif %}d.micro_conversion
    ) AS entries_done,
    COUNT(*) AS steps
  FROM done AS d
  INNER JOIN usual AS u ON u.landmark_ms = d.landmark_ms AND u.micro_conversion = d.micro_conversion
  GROUP BY d.landmark_ms, d.actor_key
),

alike AS (
  SELECT
    a.landmark_ms,
    a.half,
    b.entries_done,
    COALESCE(b.steps, 0) AS steps,
    COUNT(*) AS actors,
    COUNTIF(a.is_reached) AS reached
  FROM at_landmarks AS a
  LEFT JOIN by_actor AS b ON b.landmark_ms = a.landmark_ms AND b.actor_key = a.actor_key
  GROUP BY a.landmark_ms, a.half, b.entries_done, COALESCE(b.steps, 0)
),

singles AS (
  SELECT g.landmark_ms, g.half, g.entries_done, g.steps, g.actors, g.reached, entry, place
  FROM alike AS g
  CROSS JOIN UNNEST(SPLIT(g.entries_done, ',')) AS entry WITH OFFSET AS place
),

combined AS (
  SELECT g.landmark_ms, g.half, '' AS first_entry, '' AS second_entry, '' AS third_entry, g.steps, g.actors, g.reached
  FROM alike AS g
  UNION ALL
  SELECT s.landmark_ms, s.half, s.entry AS first_entry, '' AS second_entry, '' AS third_entry, s.steps, s.actors, s.reached
  FROM singles AS s
  UNION ALL
  SELECT
    s.landmark_ms, s.half, s.entry AS first_entry, t.entry AS second_entry, '' AS third_entry, s.steps, s.actors, s.reached
  FROM singles AS s
  INNER JOIN singles AS t
    ON t.landmark_ms = s.landmark_ms AND t.half = s.half AND t.entries_done = s.entries_done AND t.place > s.place
{%- if size > 2 %}
  UNION ALL
  SELECT
    s.landmark_ms, s.half, s.entry AS first_entry, t.entry AS second_entry, u.entry AS third_entry, s.steps, s.actors, s.reached
  FROM singles AS s
  INNER JOIN singles AS t
    ON t.landmark_ms = s.landmark_ms AND t.half = s.half AND t.entries_done = s.entries_done AND t.place > s.place
  INNER JOIN singles AS u
    ON u.landmark_ms = t.landmark_ms AND u.half = t.half AND u.entries_done = t.entries_done AND u.place > t.place
{%- endif %}
)

SELECT
  c.landmark_ms,
  c.half,
  c.first_entry,
  c.second_entry,
  c.third_entry,
  c.steps,
  SUM(c.actors) AS actors,
  SUM(c.reached) AS reached
FROM combined AS c
GROUP BY c.landmark_ms, c.half, c.first_entry, c.second_entry, c.third_entry, c.steps
ORDER BY landmark_ms, half, first_entry, second_entry, third_entry, steps
