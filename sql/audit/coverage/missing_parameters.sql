-- Events that came without a parameter that their entry requires: it is not there, NULL or empty.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}), which the taxonomy requires, are missing {dates}.
-- remedy: Send the parameter with every event of that name. If it is not needed, take it out of the entry's
--   `parameters`.
-- threshold: min_share FLOAT64 = 0.05 share of the event's rows of a day from which it is told
-- threshold: min_count INT64 = 10 rows of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, required_events ARRAY<STRING>, required_parameters ARRAY<STRING>,
--   required_types ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import standing_out %}
{% from 'audit/coverage/_required.sql' import ctes with context %}
WITH {{ ctes() }},

days AS (
  SELECT
    CONCAT(r.event_name, '.', r.parameter) AS subject,
    s.event_date,
    CAST(s.event_rows - COALESCE(f.rows_with, 0) AS INT64) AS count,
    CAST(s.event_rows AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM required AS r
  INNER JOIN sent AS s ON s.event_name = r.event_name
  LEFT JOIN filled AS f
    ON f.event_name = r.event_name AND f.parameter = r.parameter AND f.event_date = s.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
