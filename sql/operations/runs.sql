-- Runs of sync, the latest first by their number: of one status or of all (NULL), and with an id that begins with a prefix.
-- grain: run_id
-- params: status STRING, prefix STRING, most INT64
SELECT
  r.run_id,
  r.status,
  r.started_at,
  r.ended_at,
  r.owner,
  r.version,
  r.config_fingerprint,
  r.taxonomy,
  r.taxonomy_fingerprint,
  r.shards_seen,
  r.shards_staged,
  r.shards_skipped,
  r.rows_events,
  r.rows_sessions,
  r.rows_micro_conversions,
  r.duplicates_removed,
  r.bytes_billed,
  r.seconds,
  r.error,
  r.facts,
  r.number
FROM {{ relation('mc_runs') }} AS r
WHERE (@status IS NULL OR r.status = @status) AND STARTS_WITH(r.run_id, @prefix)
ORDER BY COALESCE(r.number, 0) DESC, r.started_at DESC, r.run_id DESC
LIMIT @most
