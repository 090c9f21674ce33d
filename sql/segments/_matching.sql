{# The actors of a segment at a moment, as the common table expression `matching`; parameters as of `members.sql`.

   `not_did` undoes each `did` that it follows, and one that it is the same event as. With `not_within` it also keeps out
   whoever did it in that time, before or after. Copies of a transaction are one occurrence, at the earliest. #}
doings AS (
  SELECT
    m.actor_key,
    m.micro_conversion,
    MIN(m.event_order) AS event_order,
    MIN(UNIX_MICROS(m.event_at)) AS event_us
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.actor_key IS NOT NULL
    AND (m.micro_conversion = @did OR m.micro_conversion = @not_did)
    AND m.event_at <= @as_of
    {# Of a transaction the earliest report counts, however long ago it was. #}
    AND (
      m.transaction_id IS NOT NULL
      OR UNIX_MICROS(@as_of) - UNIX_MICROS(m.event_at) <= GREATEST(@within_us, COALESCE(@not_within_us, 0))
    )
  GROUP BY
    m.actor_key,
    m.micro_conversion,
    m.transaction_id,
    IF(m.transaction_id IS NULL, NULL, m.property),
    IF(m.transaction_id IS NULL, m.client_key, NULL),
    IF(m.transaction_id IS NULL, m.event_order, NULL)
),

undoings AS (
  SELECT d.actor_key, MAX(d.event_order) AS event_order, MAX(d.event_us) AS event_us
  FROM doings AS d
  WHERE d.micro_conversion = @not_did
  GROUP BY d.actor_key
),

matching AS (
  SELECT d.actor_key
  FROM doings AS d
  LEFT JOIN undoings AS u ON u.actor_key = d.actor_key
  WHERE
    d.micro_conversion = @did
    AND UNIX_MICROS(@as_of) - d.event_us <= @within_us
    AND (
      u.actor_key IS NULL
      OR d.event_order > u.event_order AND COALESCE(UNIX_MICROS(@as_of) - u.event_us > @not_within_us, TRUE)
    )
  GROUP BY d.actor_key
  HAVING COUNT(*) >= @at_least
)
