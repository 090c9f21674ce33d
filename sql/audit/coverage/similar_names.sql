-- Names of events, parameters or user properties that differ in case, separators or a plural alone: what is meant to be
-- one is counted as two. Pairs of names that are all GA4's own are left out.
-- severity: warning
-- finding: Another spelling of {detail}: {subject} ({count} rows).
-- remedy: Send one of the two everywhere. Until then, let the entry listen to both: event = ["one", "other"].
-- threshold: min_count INT64 = 10 rows below which a name is left out
-- grain: subject
-- params: first_date DATE, last_date DATE, automatic_events ARRAY<STRING>, automatic_parameters ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH names AS (
  SELECT
    'event' AS kind,
    p.event_name AS name,
    SUM(p.event_rows) AS name_rows,
    p.event_name IN UNNEST(@automatic_events) AS is_automatic
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter = ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name
  UNION ALL
  SELECT
    IF(STARTS_WITH(p.parameter, 'user_property.'), 'user property', 'parameter') AS kind,
    REGEXP_REPLACE(p.parameter, r'^user_property\.', '') AS name,
    SUM(p.event_rows) AS name_rows,
    p.parameter IN UNNEST(@automatic_parameters) AS is_automatic
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter != ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter
),

plain AS (
  SELECT
    n.*,
    -- boxes and box, categories and category, views and view; address stays.
    REGEXP_REPLACE(
      REGEXP_REPLACE(
        REGEXP_REPLACE(REGEXP_REPLACE(LOWER(n.name), r'[^a-z0-9]', ''), r'ies$', 'y'), r'(x|ch|sh)es$', r'\1'
      ),
      r'([^s])s$', r'\1'
    ) AS plain_name
  FROM names AS n
  WHERE n.name_rows >= @min_count
),

ranked AS (
  SELECT
    p.*,
    ROW_NUMBER() OVER (PARTITION BY p.kind, p.plain_name ORDER BY p.name_rows DESC, p.name) AS place,
    FIRST_VALUE(p.name) OVER (PARTITION BY p.kind, p.plain_name ORDER BY p.name_rows DESC, p.name) AS usual_name,
    SUM(p.name_rows) OVER (PARTITION BY p.kind, p.plain_name) AS total,
    LOGICAL_OR(NOT p.is_automatic) OVER (PARTITION BY p.kind, p.plain_name) AS is_ours
  FROM plain AS p
  WHERE p.plain_name != ''
)

SELECT
  CONCAT('the ', r.kind, ' ', r.name) AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(r.name_rows AS INT64) AS count,
  CAST(r.total AS INT64) AS total,
  r.usual_name AS detail
FROM ranked AS r
WHERE r.place > 1 AND r.is_ours
ORDER BY subject
