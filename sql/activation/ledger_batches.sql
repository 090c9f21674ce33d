-- Batches of the ledger, the latest first. `held` are identifiers whose last operation it is: a batch that holds none any
-- more was said anew by a later one. A batch is open when it holds some, and its state is not final.
-- grain: batch_id
-- params: destination STRING, segment STRING, is_open BOOL, most INT64
-- structure: none
WITH held AS (
  SELECT s.batch_id, COUNT(*) AS held
  FROM {{ relation('mc_sent') }} AS s
  GROUP BY s.batch_id
)

SELECT
  b.batch_id, b.push_id, b.destination, b.segment, b.operation, b.state, b.identifiers, COALESCE(h.held, 0) AS held, b.rejected,
  b.request_id, b.attempts, b.planned_at, b.sent_at, b.settled_at, b.reason
FROM {{ relation('mc_ledger') }} AS b
LEFT JOIN held AS h ON h.batch_id = b.batch_id
WHERE
  (@destination IS NULL OR b.destination = @destination)
  AND (@segment IS NULL OR b.segment = @segment)
  AND (NOT @is_open OR b.state IN ('planned', 'sent', 'accepted') AND h.held > 0)
ORDER BY b.planned_at DESC, b.batch_id DESC
LIMIT @most
