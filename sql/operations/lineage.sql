-- Which shards the staged days come from: by property, kind of shard, and the taxonomy that they were staged with.
-- grain: property, kind, taxonomy
-- params: first_date DATE, last_date DATE
-- structure: none
SELECT
  h.property,
  h.kind,
  r.taxonomy,
  COUNT(*) AS days,
  MIN(h.event_date) AS first_date,
  MAX(h.event_date) AS last_date,
  CAST(SUM(h.events) AS INT64) AS events,
  MAX(h.modified_at) AS modified_at,
  MAX(h.staged_at) AS staged_at
FROM {{ relation('mc_shards') }} AS h
LEFT JOIN {{ relation('mc_runs') }} AS r ON r.run_id = h.run_id
WHERE
  (@first_date IS NULL OR h.event_date >= @first_date)
  AND (@last_date IS NULL OR h.event_date <= @last_date)
GROUP BY h.property, h.kind, r.taxonomy
ORDER BY h.property, first_date, h.kind, r.taxonomy
