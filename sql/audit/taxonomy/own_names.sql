-- Names of events and parameters in the taxonomy that GA4 does not take: too long, misspelt, or reserved.
-- severity: warning
-- finding: The taxonomy names {subject}, which GA4 does not take: {detail}.
-- remedy: Name the event or parameter otherwise, in the taxonomy and where it is sent. GA4 drops or cuts such a name
--   before the export, so that the entry is never seen.
-- grain: subject
-- params: entry_event_names ARRAY<STRING>, planned_parameters ARRAY<STRING>, name_kinds ARRAY<STRING>,
--   name_lengths ARRAY<INT64>, reserved_prefixes ARRAY<STRING>, automatic_parameters ARRAY<STRING>
-- structure: none
WITH limits AS (
  SELECT kind, @name_lengths[OFFSET(place)] AS longest
  FROM UNNEST(@name_kinds) AS kind WITH OFFSET AS place
),

written AS (
  SELECT 'event' AS kind, event_name AS name
  FROM UNNEST(@entry_event_names) AS event_name
  UNION ALL
  SELECT 'parameter' AS kind, parameter AS name
  FROM UNNEST(@planned_parameters) AS parameter
  WHERE parameter NOT IN UNNEST(@automatic_parameters)
),

names AS (
  SELECT DISTINCT w.kind, w.name, LENGTH(w.name) AS length, l.longest
  FROM written AS w
  INNER JOIN limits AS l ON l.kind = w.kind
),

judged AS (
  SELECT
    n.kind,
    n.name,
    CASE
      WHEN n.length > n.longest
        THEN CONCAT(
          'it has ', CAST(n.length AS STRING), ' characters, and ', CAST(n.longest AS STRING), ' are the most'
        )
      WHEN EXISTS(SELECT 1 FROM UNNEST(@reserved_prefixes) AS prefix WHERE STARTS_WITH(n.name, prefix))
        THEN 'what its name begins with is reserved for Google'
      WHEN NOT REGEXP_CONTAINS(n.name, r'^[A-Za-z][A-Za-z0-9_]*$')
        THEN 'a name begins with a letter, and holds letters, digits and _ only'
    END AS detail
  FROM names AS n
)

SELECT
  CONCAT('the ', j.kind, ' ', j.name) AS subject,
  CAST(NULL AS DATE) AS event_date,
  1 AS count,
  1 AS total,
  j.detail,
  0 AS macro_conversions
FROM judged AS j
WHERE j.detail IS NOT NULL
ORDER BY subject
