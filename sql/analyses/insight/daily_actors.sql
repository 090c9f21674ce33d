-- Every staged day that is over, for every entry asked for: the actors who did it, and the sessions that began on the day.
-- grain: event_date, micro_conversion
-- params: micro_conversions ARRAY<STRING>, first_date DATE, last_date DATE
-- structure: none
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

days AS (
  SELECT t.event_date
  FROM standing AS t
  WHERE
    (@first_date IS NULL OR t.event_date >= @first_date)
    AND (@last_date IS NULL OR t.event_date <= @last_date)
  GROUP BY t.event_date
  HAVING NOT LOGICAL_OR(t.is_provisional)
),

sessions AS (
  SELECT s.session_date, COUNT(*) AS sessions
  FROM {{ relation('mc_sessions') }} AS s
  GROUP BY s.session_date
),

seen AS (
  SELECT m.event_date, m.micro_conversion, COUNT(DISTINCT m.actor_key) AS actors
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@micro_conversions)
  GROUP BY m.event_date, m.micro_conversion
)

SELECT
  d.event_date,
  entry AS micro_conversion,
  COALESCE(n.actors, 0) AS actors,
  COALESCE(s.sessions, 0) AS sessions
FROM days AS d
CROSS JOIN UNNEST(@micro_conversions) AS entry
LEFT JOIN sessions AS s ON s.session_date = d.event_date
LEFT JOIN seen AS n ON n.event_date = d.event_date AND n.micro_conversion = entry
ORDER BY d.event_date, micro_conversion
