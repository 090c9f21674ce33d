-- The key figures of every staged day that is over: (sessions), (engaged_sessions), (actors), what conversions are worth in units of 1e-6
-- as (value), and the actors who did each entry. Of conversions of one actor with one transaction id in a property, the earliest counts.
-- grain: event_date, figure
-- params: micro_conversions ARRAY<STRING>, conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE
-- structure: none
{% import '_standing.sql' as standing with context %}
{% from 'analyses/_value.sql' import copy_number, value_of with context %}
WITH standing AS ({{ standing.days() }}),

days AS (
  SELECT t.event_date
  FROM standing AS t
  WHERE t.event_date >= @first_date AND t.event_date <= @last_date
  GROUP BY t.event_date
  HAVING NOT LOGICAL_OR(t.is_provisional)
),

sessions AS (
  SELECT
    s.session_date AS event_date,
    COUNT(*) AS sessions,
    COUNTIF(s.is_engaged) AS engaged_sessions,
    COUNT(DISTINCT s.actor_key) AS actors
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.session_date >= @first_date AND s.session_date <= @last_date
  GROUP BY s.session_date
),

occurrences AS (
  SELECT
    m.event_date,
    COALESCE({{ value_of('m' | identifier) }}, 0) AS value,
    {{ copy_number('m' | identifier) }} AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion
),

counted AS (
  SELECT s.event_date, '(sessions)' AS figure, s.sessions AS number
  FROM sessions AS s
  UNION ALL
  SELECT s.event_date, '(engaged_sessions)' AS figure, s.engaged_sessions AS number
  FROM sessions AS s
  UNION ALL
  SELECT s.event_date, '(actors)' AS figure, s.actors AS number
  FROM sessions AS s
  UNION ALL
  SELECT o.event_date, '(value)' AS figure, CAST(SUM(CAST(ROUND(o.value * 1e6) AS INT64)) AS INT64) AS number
  FROM occurrences AS o
  WHERE o.copy_number = 1 AND o.event_date >= @first_date AND o.event_date <= @last_date
  GROUP BY o.event_date
  UNION ALL
  SELECT m.event_date, m.micro_conversion AS figure, COUNT(DISTINCT m.actor_key) AS number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.micro_conversion IN UNNEST(@micro_conversions)
    AND m.event_date >= @first_date
    AND m.event_date <= @last_date
  GROUP BY m.event_date, m.micro_conversion
),

figures AS (
  SELECT name AS figure
  FROM UNNEST(['(sessions)', '(engaged_sessions)', '(actors)', '(value)']) AS name
  UNION ALL
  SELECT name AS figure
  FROM UNNEST(@micro_conversions) AS name
)

SELECT d.event_date, f.figure, COALESCE(c.number, 0) AS number
FROM days AS d
CROSS JOIN figures AS f
LEFT JOIN counted AS c ON c.event_date = d.event_date AND c.figure = f.figure
ORDER BY d.event_date, f.figure
