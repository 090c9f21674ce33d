-- What cannot be in a ledger that is whole: each row is a fault, with how many identifiers or batches have it.
-- grain: fault, destination, segment, batch_id
-- params: none
-- structure: none
WITH held AS (
  SELECT
    s.destination,
    s.segment,
    s.batch_id,
    COUNT(*) AS identifiers,
    COUNTIF(s.operation NOT IN ('add', 'remove')) AS illegal
  FROM {{ relation('mc_sent') }} AS s
  GROUP BY s.destination, s.segment, s.batch_id
),

batches AS (
  SELECT b.batch_id, COUNT(*) AS copies
  FROM {{ relation('mc_ledger') }} AS b
  GROUP BY b.batch_id
),

checked AS (
  SELECT
    b.*,
    COALESCE(h.identifiers, 0) AS held,
    c.copies
  FROM {{ relation('mc_ledger') }} AS b
  INNER JOIN batches AS c ON c.batch_id = b.batch_id
  LEFT JOIN held AS h ON h.batch_id = b.batch_id AND h.destination = b.destination AND h.segment = b.segment
),

twice AS (
  SELECT s.destination, s.segment, s.kind, s.identifier
  FROM {{ relation('mc_sent') }} AS s
  GROUP BY s.destination, s.segment, s.kind, s.identifier
  HAVING COUNT(*) > 1
),

faults AS (
  SELECT 'identifiers without a batch' AS fault, h.destination, h.segment, h.batch_id, h.identifiers AS count
  FROM held AS h
  LEFT JOIN {{ relation('mc_ledger') }} AS b
    ON b.batch_id = h.batch_id AND b.destination = h.destination AND b.segment = h.segment
  WHERE b.batch_id IS NULL
  UNION ALL
  SELECT 'identifiers with another operation than their batch', s.destination, s.segment, s.batch_id, COUNT(*)
  FROM {{ relation('mc_sent') }} AS s
  INNER JOIN {{ relation('mc_ledger') }} AS b ON b.batch_id = s.batch_id
  WHERE s.operation != b.operation
  GROUP BY s.destination, s.segment, s.batch_id
  UNION ALL
  SELECT 'identifiers with an operation that is not one', h.destination, h.segment, h.batch_id, h.illegal
  FROM held AS h
  WHERE h.illegal > 0
  UNION ALL
  SELECT 'identifiers with two operations', t.destination, t.segment, '', COUNT(*)
  FROM twice AS t
  GROUP BY t.destination, t.segment
  UNION ALL
  SELECT 'batches with more identifiers than they were sent with', c.destination, c.segment, c.batch_id, c.held - c.identifiers
  FROM checked AS c
  WHERE c.held > c.identifiers
  UNION ALL
  SELECT 'batches in flight that lost identifiers', c.destination, c.segment, c.batch_id, c.identifiers - c.held
  FROM checked AS c
  WHERE c.state = 'accepted' AND c.held < c.identifiers
  UNION ALL
  SELECT 'batches with a state that is not one', c.destination, c.segment, c.batch_id, 1
  FROM checked AS c
  WHERE COALESCE(c.state, '') NOT IN ('planned', 'sent', 'accepted', 'success', 'partial', 'failed', 'unknown')
  UNION ALL
  SELECT 'batches that left at no time', c.destination, c.segment, c.batch_id, 1
  FROM checked AS c
  WHERE c.state IN ('sent', 'accepted', 'success', 'partial', 'unknown') AND c.sent_at IS NULL
  UNION ALL
  SELECT 'batches that ended at no time', c.destination, c.segment, c.batch_id, 1
  FROM checked AS c
  WHERE c.state IN ('success', 'partial', 'failed', 'unknown') AND c.settled_at IS NULL
  UNION ALL
  SELECT 'batches that are there twice', MIN(c.destination), MIN(c.segment), c.batch_id, MIN(c.copies)
  FROM checked AS c
  WHERE c.copies > 1
  GROUP BY c.batch_id
)

SELECT f.fault, f.destination, f.segment, f.batch_id, f.count
FROM faults AS f
ORDER BY f.fault, f.destination, f.segment, f.batch_id
