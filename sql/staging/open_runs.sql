-- Runs that never ended: their process was killed.
-- grain: run_id
-- params: none
SELECT r.run_id, r.started_at, r.version, r.taxonomy, r.taxonomy_fingerprint
FROM {{ relation('mc_runs') }} AS r
WHERE r.status = 'running'
ORDER BY r.run_id
