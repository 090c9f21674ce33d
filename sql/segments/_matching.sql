{# The actors of a segment at a moment, as the common table expression `matching`; parameters as of `members.sql`. #}
recent AS (
  SELECT
    m.actor_key,
    m.micro_conversion,
    m.transaction_id,
    CONCAT(m.property, '|', m.transaction_id) AS transaction_key
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.actor_key IS NOT NULL
    AND (m.micro_conversion = @did OR m.micro_conversion = @not_did)
    AND m.event_at <= @as_of
    AND UNIX_MICROS(@as_of) - UNIX_MICROS(m.event_at) <= @within_us
),

matching AS (
  SELECT r.actor_key
  FROM recent AS r
  GROUP BY r.actor_key
  HAVING
    COUNTIF(r.micro_conversion = @not_did) = 0
    AND COUNTIF(r.micro_conversion = @did AND r.transaction_id IS NULL)
      + COUNT(DISTINCT IF(r.micro_conversion = @did, r.transaction_key, NULL)) >= @at_least
)
