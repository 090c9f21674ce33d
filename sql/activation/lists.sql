-- The lists that were pushed to: what they hold as far as we know, what is waited for, and when something was sent last.
-- An identifier counts as listed when it was added, or may have been, and no removal of it has been confirmed since.
-- grain: destination, segment
-- params: destination STRING, segment STRING
-- structure: none
WITH standing AS (
  SELECT
    s.destination,
    s.segment,
    s.operation,
    COALESCE(s.was_sent, FALSE) AS was_sent,
    COALESCE(b.state, 'unknown') AS state,
    COALESCE(b.rejected >= b.identifiers, FALSE) AS is_refused,
    b.sent_at,
    IF(s.operation = 'add' AND b.sent_at IS NOT NULL, b.sent_at, s.added_at) AS added_at
  FROM {{ relation('mc_sent') }} AS s
  LEFT JOIN {{ relation('mc_ledger') }} AS b ON b.batch_id = s.batch_id
  WHERE
    (@destination IS NULL OR s.destination = @destination)
    AND (@segment IS NULL OR s.segment = @segment)
)

SELECT
  l.destination,
  l.segment,
  COUNTIF(
    l.operation = 'add' AND (l.was_sent AND l.added_at IS NOT NULL OR l.state NOT IN ('planned', 'failed')) AND NOT l.is_refused
    OR l.operation = 'remove' AND l.added_at IS NOT NULL AND l.state != 'success'
  ) AS listed,
  COUNTIF(l.state = 'accepted') AS waiting,
  COUNTIF(l.state IN ('planned', 'sent', 'failed', 'partial', 'unknown') AND NOT l.is_refused) AS unsettled,
  COUNTIF(l.is_refused) AS refused,
  MAX(l.sent_at) AS last_sent_at,
  MIN(IF(l.operation = 'add' AND l.state = 'success', l.added_at, NULL)) AS oldest_added_at
FROM standing AS l
GROUP BY l.destination, l.segment
ORDER BY l.destination, l.segment
