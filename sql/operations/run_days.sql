-- Days whose staged rows are those that one run wrote: no later run staged them again.
-- grain: property, event_date
-- params: run_id STRING
SELECT
  s.property,
  s.event_date,
  s.shard,
  s.kind,
  s.source_rows,
  s.events,
  s.duplicates_removed,
  s.consentless_events,
  s.staged_at
FROM {{ relation('mc_shards') }} AS s
WHERE s.run_id = @run_id
ORDER BY s.property, s.event_date
