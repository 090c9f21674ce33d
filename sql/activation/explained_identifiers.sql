-- What a destination was told of some identifiers, with the batch of the last operation on each.
-- grain: kind, identifier
-- params: destination STRING, segment STRING
-- structure: none
SELECT
  p.kind, p.identifier, s.operation, b.batch_id, b.state, b.request_id, b.sent_at, b.settled_at, b.reason
FROM (SELECT DISTINCT i.kind, i.identifier FROM {{ relation('explained') }} AS i) AS p
LEFT JOIN {{ relation('mc_sent') }} AS s
  ON s.kind = p.kind AND s.identifier = p.identifier AND s.destination = @destination AND s.segment = @segment
LEFT JOIN {{ relation('mc_ledger') }} AS b ON b.batch_id = s.batch_id
ORDER BY p.kind, p.identifier
