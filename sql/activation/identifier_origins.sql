-- Why each identifier is wanted on a list: since when people who have it are in the segment (the first of them), and when
-- they agreed (the last of them).
-- grain: kind, identifier
-- params: segment STRING
-- structure: none
SELECT
  r.kind,
  r.identifier,
  MIN(m.since) AS since,
  TIMESTAMP_MICROS(MAX(r.consented_us)) AS consented_at
FROM {{ relation('push_origins') }} AS r
LEFT JOIN {{ relation('mc_segment_members') }} AS m
  ON m.segment = @segment AND m.actor_key = r.actor_key AND m.until IS NULL
GROUP BY r.kind, r.identifier
