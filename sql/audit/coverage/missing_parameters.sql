-- Events that came without a parameter that their entry requires: it is not there, NULL or empty.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}), which the taxonomy requires, are missing {dates}.
-- remedy: Send the parameter with every event of that name. If it is not needed, take it out of the entry's
--   `parameters`.
-- threshold: min_share FLOAT64 = 0.05 share of the event's rows of a day from which it is told
-- threshold: min_count INT64 = 5 rows of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, required_events ARRAY<STRING>, required_parameters ARRAY<STRING>,
--   required_types ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import standing_out %}
{% from 'audit/coverage/_required.sql' import ctes with context %}
WITH {{ ctes() }},

cells AS (
  SELECT
    CONCAT(r.event_name, '.', r.parameter) AS subject,
    s.event_date,
    s.event_rows - COALESCE(f.rows_with, 0) AS rows_without,
    s.event_rows
  FROM required AS r
  INNER JOIN sent AS s ON s.event_name = r.event_name
  LEFT JOIN filled AS f
    ON f.event_name = r.event_name AND f.parameter = r.parameter AND f.event_date = s.event_date
),

subjects AS (
  SELECT
    c.subject,
    CAST(SUM(c.rows_without) AS INT64) AS count,
    CAST(SUM(c.event_rows) AS INT64) AS total
  FROM cells AS c
  GROUP BY c.subject
),

days AS (
  SELECT
    c.subject,
    c.event_date,
    CAST(c.rows_without AS INT64) AS count,
    CAST(c.event_rows AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM cells AS c
  INNER JOIN subjects AS s ON s.subject = c.subject
  WHERE s.count < s.total
),

told AS (
  {{ standing_out('days') }}
  UNION ALL
  -- What never comes is of no day.
  SELECT s.subject, CAST(NULL AS DATE) AS event_date, s.count, s.total, CAST(NULL AS STRING) AS detail
  FROM subjects AS s
  WHERE s.count = s.total AND s.total >= @min_count
)

SELECT t.subject, t.event_date, t.count, t.total, t.detail
FROM told AS t
ORDER BY t.subject, t.event_date
