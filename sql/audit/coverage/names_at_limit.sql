-- Names of events and parameters that are exactly as long as GA4 allows: apps drop what is longer, and others may cut
-- it.
-- severity: note
-- finding: As long as GA4 allows, so perhaps cut: {subject} ({count} rows).
-- remedy: Compare it with the name in the tag; give it a shorter one.
-- grain: subject
-- params: first_date DATE, last_date DATE, name_kinds ARRAY<STRING>, name_lengths ARRAY<INT64>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH limits AS (
  SELECT kind, @name_lengths[OFFSET(place)] AS longest
  FROM UNNEST(@name_kinds) AS kind WITH OFFSET AS place
),

names AS (
  SELECT
    CASE
      WHEN p.parameter = '' THEN 'event'
      WHEN STARTS_WITH(p.parameter, 'user_property.') THEN 'user property'
      ELSE 'parameter'
    END AS kind,
    IF(p.parameter = '', p.event_name, REGEXP_REPLACE(p.parameter, r'^user_property\.', '')) AS name,
    SUM(p.event_rows) AS name_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE {{ in_period('p.event_date' | identifier) }}
  GROUP BY kind, name
)

SELECT
  CONCAT('the ', n.kind, ' ', n.name) AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(n.name_rows AS INT64) AS count,
  CAST(n.name_rows AS INT64) AS total,
  CAST(NULL AS STRING) AS detail,
  0 AS macro_conversions
FROM names AS n
INNER JOIN limits AS l ON l.kind = n.kind AND l.longest = LENGTH(n.name)
ORDER BY subject
