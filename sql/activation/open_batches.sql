-- Batches of a destination whose state may still change, and those that were never sent, the oldest first.
-- grain: batch_id
-- params: destination STRING, segment STRING
-- structure: none
SELECT
  b.batch_id, b.push_id, b.destination, b.segment, b.operation, b.state, b.identifiers, b.rejected, b.request_id, b.attempts,
  b.planned_at, b.sent_at, b.settled_at, b.reason
FROM {{ relation('mc_ledger') }} AS b
WHERE
  b.destination = @destination
  AND (@segment IS NULL OR b.segment = @segment)
  AND b.state IN ('planned', 'sent', 'accepted')
ORDER BY b.planned_at, b.batch_id
