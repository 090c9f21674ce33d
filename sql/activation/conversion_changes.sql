-- What a destination must be told, so that it has each order of a conversion as it is: an operation for each that it has not.
-- `verdict` says what to do: send it; hold it until an answer is there; forget the order; wait, since it is as it should be, but
-- something older may still undo that; leave it, since it was refused (tried daily); leave it as it "stands", since the
-- destination takes no such adjustment, or nothing may be sent of the person; or leave it as "lost": it may have arrived, and
-- the destination would no longer know it again, so that it could count twice.
-- Whether an operation took effect is unsure while nobody answered (sent) or nobody can tell any more (unknown, partial): it is
-- said again at once, and once more when nothing older can arrive (`unsure_until`).
-- grain: order_id
-- params: destination STRING, conversion STRING, now TIMESTAMP, settle_us INT64, restates BOOL, retracts STRING,
--   by_order_id BOOL, adjust_us INT64, recognises_us INT64
-- structure: none
WITH standing AS (
  SELECT
    c.order_id,
    c.operation,
    c.value_micros,
    c.currency,
    c.occurred_at,
    COALESCE(b.state, 'unknown') AS state,
    -- Whether the destination may have it by now.
    COALESCE(c.was_sent, FALSE) OR COALESCE(b.state, 'unknown') NOT IN ('planned', 'failed') AS was_sent,
    COALESCE(c.first_sent_at, IF(b.state IN ('planned', 'failed'), NULL, b.sent_at)) AS first_sent_at,
    c.unsure_until,
    COALESCE(c.refusals, 0) + IF(b.rejected > 0, 1, 0) AS refusals,
    -- Refused by name, or alone time and again: it is tried once a day.
    b.rejected >= b.identifiers AND COALESCE(c.refusals, 0) >= 5
      AND UNIX_MICROS(@now) - UNIX_MICROS(b.sent_at) < 86400000000 AS is_refused,
    -- Until when this operation may take effect unseen.
    IF(b.state IN ('sent', 'unknown'), UNIX_MICROS(b.sent_at) + @settle_us, NULL) AS arrives_until_us
  FROM {{ relation('mc_conversions') }} AS c
  LEFT JOIN {{ relation('mc_conversion_batches') }} AS b ON b.batch_id = c.batch_id
  WHERE c.destination = @destination AND c.conversion = @conversion
),

both AS (
  SELECT
    o.order_id,
    o.property,
    o.event_date,
    o.external_source,
    COALESCE(s.occurred_at, o.occurred_at) AS occurred_at,
    o.actor_key,
    o.user_id,
    o.value_micros,
    o.currency,
    p.who,
    o.standing,
    p.reason,
    s.operation AS said,
    s.value_micros AS said_micros,
    s.currency AS said_currency,
    s.state,
    COALESCE(s.was_sent, FALSE) AS was_sent,
    s.first_sent_at,
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
    COALESCE(s.value_micros, -1) != COALESCE(o.value_micros, -1) OR COALESCE(s.currency, '') != COALESCE(o.currency, '')
      AS is_changed,
    UNIX_MICROS(@now) - UNIX_MICROS(COALESCE(s.occurred_at, o.occurred_at)) > @adjust_us AS is_too_late,
    COALESCE(UNIX_MICROS(@now) - UNIX_MICROS(s.first_sent_at) > @recognises_us, FALSE) AS is_forgotten,
    CASE
      WHEN p.reason IN ('consent_denied', 'consent_unreadable', 'no_consent_record') THEN 'withdrawn'
      WHEN o.standing IN ('gone', 'refunded') THEN o.standing
      WHEN o.standing = 'there' AND p.reason IS NULL THEN 'wanted'
      ELSE 'left'
    END AS wish
  FROM {{ relation('conversion_orders') }} AS o
  INNER JOIN {{ relation('conversion_people') }} AS p ON p.order_id = o.order_id
  LEFT JOIN standing AS s ON s.order_id = o.order_id
),

-- What should be said next, if anything: NULL where the order is to be left as it is.
intended AS (
  SELECT
    b.*,
    CASE
      WHEN b.wish = 'left' THEN NULL
      WHEN b.wish != 'wanted' THEN IF(b.was_sent, 'retract', NULL)
      WHEN NOT b.was_sent THEN 'send'
      -- What was taken back for good cannot come back; only a retraction that never took effect can be left.
      WHEN b.said = 'retract' AND @retracts = 'whole' AND b.state NOT IN ('planned', 'failed') THEN 'retract'
      WHEN b.said = 'retract' THEN IF(@restates, 'restate', NULL)
      WHEN b.is_changed AND @restates AND NOT b.is_too_late THEN 'restate'
      ELSE b.said
    END AS operation,
    -- An adjustment that the destination does not take, or not any more.
    b.wish NOT IN ('wanted', 'left') AND b.said != 'retract' AND (@retracts IS NULL OR b.is_too_late) AS cannot_retract,
    -- Of a value that it cannot be told, it has the one that it was told.
    b.was_sent AND (NOT @restates OR b.is_too_late) AS keeps_value
  FROM both AS b
),

judged AS (
  SELECT
    i.*,
    CASE
      -- Never two operations in flight on one order.
      WHEN i.state = 'accepted' THEN 'hold'
      WHEN i.operation IS NULL THEN IF(i.said IS NOT NULL AND NOT i.was_sent, 'forget', 'stands')
      WHEN i.cannot_retract THEN 'stands'
      -- It names the person again.
      WHEN i.reason IS NOT NULL AND NOT @by_order_id THEN 'stands'
      WHEN i.said IS NULL THEN 'send'
      WHEN i.is_refused AND NOT i.has_settled AND i.said = i.operation AND NOT i.is_changed THEN 'refused'
      WHEN i.said = i.operation AND i.state = 'success' AND NOT i.has_settled
        AND (i.operation = 'retract' OR NOT i.is_changed OR i.keeps_value)
        THEN IF(i.was_unsure, 'wait', IF(i.is_changed AND i.operation != 'retract', 'stands', 'keep'))
      WHEN i.was_sent AND i.is_forgotten AND i.operation != 'retract' THEN 'lost'
      ELSE 'send'
    END AS verdict,
    CASE
      WHEN i.said IS NULL THEN 'new'
      WHEN i.operation IS NULL THEN COALESCE(i.reason, i.standing)
      WHEN i.operation = 'retract' AND i.said != 'retract' THEN i.wish
      WHEN i.operation != i.said OR i.is_changed AND i.operation = 'restate' THEN 'changed'
      WHEN i.state = 'accepted' THEN 'pending'
      WHEN i.state != 'success' THEN 'again'
      WHEN i.has_settled THEN 'settled'
      ELSE 'changed'
    END AS why
  FROM intended AS i
)

SELECT
  j.order_id, j.property, j.event_date, j.external_source, j.occurred_at, j.actor_key, j.user_id,
  CASE WHEN j.operation = 'retract' THEN 0 WHEN j.keeps_value THEN j.said_micros ELSE j.value_micros END AS value_micros,
  IF(j.keeps_value OR j.operation = 'retract', j.said_currency, j.currency) AS currency,
  j.who, j.operation, j.said, j.verdict, j.why, j.was_sent, j.first_sent_at, j.refusals,
  TIMESTAMP_MICROS(j.unsure_until_us) AS unsure_until
FROM judged AS j
WHERE j.verdict != 'keep' AND NOT (j.verdict = 'stands' AND j.said IS NULL)
ORDER BY j.order_id
