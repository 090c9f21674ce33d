-- Runs that never ended: their process was killed.
-- grain: run_id
-- params: none
SELECT
  r.run_id,
  r.started_at,
  r.owner,
  r.version,
  r.config_fingerprint,
  r.taxonomy,
  r.taxonomy_fingerprint,
  r.shards_seen,
  r.shards_staged,
  r.shards_skipped,
  r.duplicates_removed,
  r.bytes_billed
FROM {{ relation('mc_runs') }} AS r
WHERE r.status = 'running'
ORDER BY r.run_id
