-- Events that came without a parameter that their entry requires: it is not there, NULL or empty. Purchases without a
-- value or transaction id are told by value_missing and transaction_ids_missing.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}), which the taxonomy requires, are missing {dates}.
-- remedy: Send the parameter with every event of that name. If it is not needed, take it out of the entry's
--   `parameters`.
-- threshold: min_share FLOAT64 = 0.05 share of the event's rows of a day from which it is told
-- threshold: min_count INT64 = 5 rows of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, required_events ARRAY<STRING>, required_parameters ARRAY<STRING>,
--   required_types ARRAY<STRING>, entry_event_ids ARRAY<STRING>, entry_event_names ARRAY<STRING>,
--   purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import standing_out %}
{% from 'audit/_purchases.sql' import purchase_events %}
{% from 'audit/coverage/_required.sql' import ctes with context %}
WITH {{ ctes() }},

purchases AS (
  SELECT
    e.event_name,
    e.event_date,
    COUNTIF(COALESCE(e.value, 0) = 0) AS without_value,
    COUNTIF(e.transaction_id IS NULL) AS without_id
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name IN ({{ purchase_events() }})
  GROUP BY e.event_name, e.event_date
),

cells AS (
  SELECT
    CONCAT(r.event_name, '.', r.parameter) AS subject,
    s.event_date,
    GREATEST(
      s.event_rows - COALESCE(f.rows_with, 0)
      - CASE r.parameter
        WHEN 'value' THEN COALESCE(b.without_value, 0)
        WHEN 'transaction_id' THEN COALESCE(b.without_id, 0)
        ELSE 0
      END,
      0
    ) AS rows_without,
    s.event_rows
  FROM required AS r
  INNER JOIN sent AS s ON s.event_name = r.event_name
  LEFT JOIN filled AS f
    ON f.event_name = r.event_name AND f.parameter = r.parameter AND f.event_date = s.event_date
  LEFT JOIN purchases AS b ON b.event_name = r.event_name AND b.event_date = s.event_date
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
