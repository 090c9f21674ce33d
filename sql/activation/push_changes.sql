-- What a destination must be told, so that its list of a segment becomes the wanted one: an operation for each identifier
-- that is not as it should be. `verdict` says what to do: send it; hold it until an answer is there; forget the identifier;
-- wait, since it is as it should be, but something older may still undo that; leave it, since it was refused (tried daily).
-- An identifier is in flight while its batch is accepted: then it waits. Whether an operation took effect is unsure while
-- nobody answered (sent) or nobody can tell any more (unknown): it is said again at once, and once more when nothing
-- older can arrive (`unsure_until`). An addition is refreshed before the destination forgets it. Of a batch that was refused
-- in part nobody knows which were: all are said again, in smaller batches (`refusals`), until one that is refused is alone.
-- With `is_full` each wanted identifier is said again.
-- grain: kind, identifier
-- params: destination STRING, segment STRING, now TIMESTAMP, settle_us INT64, refresh_us INT64, is_full BOOL
-- structure: none
WITH standing AS (
  SELECT
    s.kind,
    s.identifier,
    s.operation,
    COALESCE(b.state, 'unknown') AS state,
    COALESCE(s.was_sent, FALSE) OR COALESCE(b.state, 'unknown') != 'planned' AS was_sent,
    IF(s.operation = 'add' AND b.sent_at IS NOT NULL, b.sent_at, s.added_at) AS added_at,
    s.unsure_until,
    GREATEST(COALESCE(s.refusals, 0), 0) + IF(b.rejected > 0, 1, 0) AS refusals,
    -- Refused by name (-1 where that kept nobody else off), or alone time and again: it is tried once a day.
    b.rejected >= b.identifiers AND (COALESCE(s.refusals, 0) >= 5 OR s.refusals = -1)
      AND UNIX_MICROS(@now) - UNIX_MICROS(b.sent_at) < 86400000000 AS is_refused,
    -- Until when this operation may take effect unseen.
    IF(b.state IN ('sent', 'unknown'), UNIX_MICROS(b.sent_at) + @settle_us, NULL) AS arrives_until_us
  FROM {{ relation('mc_sent') }} AS s
  LEFT JOIN {{ relation('mc_ledger') }} AS b ON b.batch_id = s.batch_id
  WHERE s.destination = @destination AND s.segment = @segment
),

both AS (
  SELECT
    COALESCE(w.kind, s.kind) AS kind,
    COALESCE(w.identifier, s.identifier) AS identifier,
    w.people,
    IF(w.identifier IS NULL, 'remove', 'add') AS operation,
    s.operation AS said,
    s.state,
    COALESCE(s.was_sent, FALSE) AS was_sent,
    s.added_at,
    COALESCE(UNIX_MICROS(s.unsure_until) < UNIX_MICROS(@now), FALSE) AS has_settled,
    NULLIF(
      GREATEST(
        IF(UNIX_MICROS(s.unsure_until) >= UNIX_MICROS(@now), UNIX_MICROS(s.unsure_until), 0), COALESCE(s.arrives_until_us, 0)
      ),
      0
    ) AS unsure_until_us,
    s.unsure_until IS NOT NULL AS was_unsure,
    IF(s.state = 'success', 0, COALESCE(s.refusals, 0)) AS refusals,
    COALESCE(s.is_refused, FALSE) AS is_refused,
    COALESCE(UNIX_MICROS(@now) - UNIX_MICROS(s.added_at) >= @refresh_us, FALSE) AS is_due
  FROM {{ relation('wanted_identifiers') }} AS w
  FULL JOIN standing AS s ON s.kind = w.kind AND s.identifier = w.identifier
),

judged AS (
  SELECT
    b.*,
    CASE
      -- Never two operations in flight on one identifier.
      WHEN b.state = 'accepted' THEN 'hold'
      WHEN b.operation = 'remove' AND NOT b.was_sent THEN 'forget'
      WHEN b.said IS NULL OR b.said != b.operation THEN 'send'
      WHEN b.is_refused AND NOT b.has_settled THEN 'refused'
      WHEN b.state != 'success' OR b.has_settled THEN 'send'
      WHEN b.operation = 'add' AND (b.is_due OR @is_full) THEN 'send'
      WHEN b.was_unsure THEN 'wait'
      ELSE IF(b.operation = 'add', 'keep', 'forget')
    END AS verdict,
    CASE
      WHEN b.said IS NULL THEN 'new'
      WHEN b.said != b.operation THEN 'changed'
      WHEN b.state = 'accepted' THEN 'pending'
      WHEN b.state != 'success' THEN 'again'
      WHEN b.has_settled THEN 'settled'
      WHEN b.is_due THEN 'refresh'
      ELSE 'full'
    END AS reason
  FROM both AS b
)

SELECT
  j.kind,
  j.identifier,
  COALESCE(j.people, 0) AS people,
  j.operation,
  j.verdict,
  j.reason,
  j.was_sent,
  j.added_at,
  j.refusals,
  TIMESTAMP_MICROS(j.unsure_until_us) AS unsure_until
FROM judged AS j
WHERE j.verdict != 'keep'
ORDER BY j.operation DESC, j.kind, j.identifier
