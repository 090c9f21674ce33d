-- Events that no entry of the taxonomy listens to, beside those that GA4 sends by itself: they are in no figure here.
-- severity: note
-- finding: {count} of {total} events ({share}) have names that no entry of the taxonomy listens to: {detail}.
-- remedy: Add an entry for each that says something about interest or intent; leave the others. `microconv taxonomy
--   suggest` proposes entries.
-- threshold: min_share FLOAT64 = 0.001 share of all events from which an event is told
-- grain: subject
-- params: first_date DATE, last_date DATE, listened_events ARRAY<STRING>, listened_patterns ARRAY<STRING>,
--   automatic_events ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH sent AS (
  SELECT p.event_name, SUM(p.event_rows) AS event_rows, SUM(SUM(p.event_rows)) OVER () AS all_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter = ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name
),

matched AS (
  SELECT DISTINCT s.event_name
  FROM sent AS s
  CROSS JOIN UNNEST(@listened_patterns) AS pattern
  WHERE REGEXP_CONTAINS(s.event_name, pattern)
),

unplanned AS (
  SELECT
    s.event_name,
    s.event_rows,
    s.all_rows,
    ROW_NUMBER() OVER (ORDER BY s.event_rows DESC, s.event_name) AS place,
    COUNT(*) OVER () AS names
  FROM sent AS s
  LEFT JOIN matched AS m ON m.event_name = s.event_name
  WHERE
    m.event_name IS NULL
    AND s.event_name NOT IN UNNEST(@listened_events)
    AND s.event_name NOT IN UNNEST(@automatic_events)
    AND s.event_rows >= @min_share * s.all_rows
)

SELECT
  '' AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(SUM(u.event_rows) AS INT64) AS count,
  CAST(MAX(u.all_rows) AS INT64) AS total,
  CONCAT(
    STRING_AGG(IF(u.place <= 10, u.event_name, NULL), ', ' ORDER BY u.place),
    IF(MAX(u.names) > 10, CONCAT(' and ', CAST(MAX(u.names) - 10 AS STRING), ' more'), '')
  ) AS detail,
  0 AS macro_conversions
FROM unplanned AS u
HAVING COUNT(*) > 0
