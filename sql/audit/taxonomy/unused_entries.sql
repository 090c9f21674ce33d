-- Entries that are seen, and that no funnel, segment, attribution or other entry uses.
-- severity: note
-- finding: Counted, and used by no funnel, segment, attribution or other entry: {subject}.
-- remedy: Use it in a question, or set counts = false if it only serves others. An entry that nobody asks for costs
--   attention in every list.
-- grain: subject
-- params: entry_ids ARRAY<STRING>, entry_kinds ARRAY<STRING>, used_ids ARRAY<STRING>
-- structure: none
WITH entries AS (
  SELECT entry_id, @entry_kinds[OFFSET(place)] AS kind
  FROM UNNEST(@entry_ids) AS entry_id WITH OFFSET AS place
),

seen AS (
  SELECT o.micro_conversion, COUNT(*) AS occurrences
  FROM {{ relation('mc_micro_conversions') }} AS o
  GROUP BY o.micro_conversion
)

SELECT
  e.entry_id AS subject,
  CAST(NULL AS DATE) AS event_date,
  s.occurrences AS count,
  s.occurrences AS total,
  CAST(NULL AS STRING) AS detail,
  0 AS macro_conversions
FROM entries AS e
INNER JOIN seen AS s ON s.micro_conversion = e.entry_id
WHERE e.kind != 'macro' AND ARRAY_LENGTH(@used_ids) > 0 AND e.entry_id NOT IN UNNEST(@used_ids)
ORDER BY subject
