-- The identifiers that a push sends, each with the batch that it is in. What is to be removed comes first; batches have one
-- operation, and become smaller the more often a batch with their identifiers was refused in part.
-- grain: sent_key
-- params: destination STRING, segment STRING, push_id STRING, normalisation STRING, most_identifiers INT64
-- structure: none
WITH numbered AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY c.operation, c.refusals ORDER BY c.kind, c.identifier) - 1 AS place
  FROM {{ relation('push_changes') }} AS c
  WHERE c.verdict = 'send'
)

SELECT
  CONCAT(@destination, '/', @segment, '/', n.kind, '/', n.identifier) AS sent_key,
  @destination AS destination,
  @segment AS segment,
  n.kind,
  n.identifier,
  @normalisation AS normalisation,
  n.people,
  n.operation,
  CONCAT(
    @push_id,
    IF(n.operation = 'remove', '-r', '-s'),
    CAST(n.refusals AS STRING),
    '-',
    CAST(DIV(n.place, GREATEST(DIV(@most_identifiers, CAST(POW(4, LEAST(n.refusals, 15)) AS INT64)), 1)) AS STRING)
  ) AS batch_id,
  n.was_sent,
  n.added_at,
  n.refusals,
  n.unsure_until
FROM numbered AS n
