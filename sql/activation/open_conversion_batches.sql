-- Batches of orders whose state may still change, and those that were never sent, the oldest first. A conversion stands where
-- `mc_ledger` has a segment.
-- grain: batch_id
-- params: destination STRING, conversion STRING
-- structure: none
SELECT
  b.batch_id, b.push_id, b.destination, b.conversion AS segment, b.operation, b.state, b.identifiers, b.rejected, b.request_id,
  b.attempts, b.planned_at, b.sent_at, b.settled_at, b.reason
FROM {{ relation('mc_conversion_batches') }} AS b
WHERE b.destination = @destination AND b.conversion = @conversion AND b.state IN ('planned', 'sent', 'accepted')
ORDER BY b.planned_at, b.batch_id
