-- The rows of the ledger whose operation nobody had confirmed, and which an audience now proves: they get batches of their
-- own. Only what was sent before a moment counts: until then something older may still have taken effect.
-- grain: sent_key
-- params: destination STRING, segment STRING, sent_before TIMESTAMP, added_id STRING, removed_id STRING
-- structure: none
SELECT
  s.sent_key, s.destination, s.segment, s.kind, s.identifier, s.normalisation, s.people, s.operation,
  IF(s.operation = 'add', @added_id, @removed_id) AS batch_id,
  s.was_sent, s.added_at, 0 AS refusals, s.unsure_until
FROM {{ relation('mc_sent') }} AS s
INNER JOIN {{ relation('proved_devices') }} AS p ON p.kind = s.kind AND p.identifier = s.identifier
WHERE
  s.destination = @destination
  AND s.segment = @segment
  AND p.state = 'unknown'
  AND p.sent_at < @sent_before
  AND p.is_in = (p.operation = 'add')
