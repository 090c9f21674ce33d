-- The staged days of a property: how large each was in the export, what was removed, and when a sync last looked at it.
-- A sync looks at every day of the sources, so that the start of the latest one that ended well counts for all.
-- grain: event_date
-- params: property STRING
-- structure: none
WITH looks AS (
  SELECT MAX(r.started_at) AS looked_at
  FROM {{ relation('mc_runs') }} AS r
  WHERE r.status = 'done'
)

SELECT
  s.event_date,
  s.kind,
  s.source_rows,
  s.duplicates_removed AS copies,
  COALESCE(l.looked_at, s.staged_at) AS looked_at
FROM {{ relation('mc_shards') }} AS s
CROSS JOIN looks AS l
WHERE s.property = @property
ORDER BY s.event_date
