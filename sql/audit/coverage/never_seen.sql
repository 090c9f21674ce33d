-- Entries of the taxonomy in force of which nothing was ever seen. `count` are the events that they listen to: where
-- there are some, the entry's conditions never held.
-- severity: note
-- finding: Never seen: {subject}.
-- remedy: Check that the site sends the event under this name, and that the entry's conditions can hold. Deprecate
--   entries that do not exist here (deprecated_in), so that nobody waits for them.
-- grain: subject
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, entry_event_ids ARRAY<STRING>,
--   entry_event_names ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH seen AS (
  SELECT m.micro_conversion
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE {{ in_period('m.event_date' | identifier) }}
  GROUP BY m.micro_conversion
),

entries AS (
  SELECT entry_id
  FROM UNNEST(@entry_ids) AS entry_id
),

pairs AS (
  SELECT pair_id, @entry_event_names[OFFSET(place)] AS event_name
  FROM UNNEST(@entry_event_ids) AS pair_id WITH OFFSET AS place
),

sent AS (
  SELECT p.event_name, SUM(p.event_rows) AS event_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter = ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name
),

staged AS (
  SELECT COALESCE(SUM(s.event_rows), 0) AS event_rows FROM sent AS s
)

SELECT
  e.entry_id AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(COALESCE(SUM(s.event_rows), 0) AS INT64) AS count,
  CAST(MAX(t.event_rows) AS INT64) AS total,
  MAX(IF(s.event_rows > 0, p.event_name, NULL)) AS detail,
  0 AS macro_conversions
FROM entries AS e
CROSS JOIN staged AS t
LEFT JOIN seen AS x ON x.micro_conversion = e.entry_id
LEFT JOIN pairs AS p ON p.pair_id = e.entry_id
LEFT JOIN sent AS s ON s.event_name = p.event_name
WHERE x.micro_conversion IS NULL AND t.event_rows > 0
GROUP BY e.entry_id
ORDER BY subject
