-- Required parameters that came as another type: text where a number is required, or parts where whole numbers are.
-- Numbers where text is required are GA4's own doing: it turns text that looks like a number into one.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}) have another type than the taxonomy requires {dates}, such
--   as {detail}.
-- remedy: Send a number without currency sign, blanks or thousands separators, and not as text.
-- threshold: min_share FLOAT64 = 0.01 share of the parameter's values of a day from which it is told
-- threshold: min_count INT64 = 5 values of a day below which a single day is not told
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
    f.event_date,
    CAST(f.rows_of_text + IF(r.required_type = 'integer', f.rows_of_reals, 0) AS INT64) AS count,
    CAST(f.rows_with AS INT64) AS total,
    f.example AS detail
  FROM required AS r
  INNER JOIN sent AS s ON s.event_name = r.event_name
  INNER JOIN filled AS f
    ON f.event_name = s.event_name AND f.parameter = r.parameter AND f.event_date = s.event_date
  WHERE r.required_type IN ('number', 'integer')
)

{{ standing_out('days') }}
ORDER BY subject, event_date
