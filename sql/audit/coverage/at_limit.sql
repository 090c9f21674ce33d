-- Values and names that are exactly as long as GA4 allows: what was longer has been cut, and different things look
-- alike.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}) are exactly as long as GA4 allows {dates}: they were cut.
-- remedy: Send shorter values: without tracking parts of addresses, or an id instead of a text.
-- threshold: min_share FLOAT64 = 0.005 share of the parameter's values of a day from which it is told
-- threshold: min_count INT64 = 10 values of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    REGEXP_REPLACE(p.parameter, r'^user_property\.', 'the user property ') AS subject,
    p.event_date,
    CAST(SUM(COALESCE(p.rows_at_limit, 0)) AS INT64) AS count,
    CAST(SUM(p.event_rows) AS INT64) AS total,
    ANY_VALUE(p.event_name HAVING MAX p.rows_at_limit) AS detail
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter != '' AND p.value_type = 'string'
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter, p.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
