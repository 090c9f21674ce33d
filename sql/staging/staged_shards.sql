-- The state of staging: which shard each day came from, and what decided its rows.
-- grain: property, event_date
-- params: none
-- structure: none
SELECT
  s.property,
  s.event_date,
  s.shard,
  s.kind,
  s.modified_at,
  s.bytes,
  s.schema_fingerprint,
  s.staging_fingerprint,
  s.carried_columns,
  r.taxonomy_fingerprint
FROM {{ relation('mc_shards') }} AS s
LEFT JOIN {{ relation('mc_runs') }} AS r ON r.run_id = s.run_id
ORDER BY s.property, s.event_date
