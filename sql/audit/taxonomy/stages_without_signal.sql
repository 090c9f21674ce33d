-- Stages of the funnel on which nothing is measured: no entry of the taxonomy stands there, or none of them was ever
-- seen.
-- severity: note
-- finding: Nothing is measured at the stage {subject}: {detail}.
-- remedy: Add an entry for this stage and send its event, or accept the finding if the business has no such stage.
--   Between the stages before and after it nobody can see where visitors are lost.
-- grain: subject
-- params: stages ARRAY<STRING>, entry_stages ARRAY<STRING>
-- structure: none
WITH seen AS (
  SELECT DISTINCT o.stage AS seen_stage
  FROM {{ relation('mc_micro_conversions') }} AS o
),

entries AS (
  SELECT entry_stage, COUNT(*) AS entries
  FROM UNNEST(@entry_stages) AS entry_stage
  GROUP BY entry_stage
)

SELECT
  stage AS subject,
  CAST(NULL AS DATE) AS event_date,
  COALESCE(e.entries, 0) AS count,
  COALESCE(e.entries, 0) AS total,
  IF(e.entries IS NULL, 'the taxonomy has no entry there', 'none of its entries was seen') AS detail,
  0 AS macro_conversions
FROM UNNEST(@stages) AS stage
LEFT JOIN entries AS e ON e.entry_stage = stage
LEFT JOIN seen AS s ON s.seen_stage = stage
WHERE s.seen_stage IS NULL
ORDER BY subject
