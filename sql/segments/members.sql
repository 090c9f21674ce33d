-- Actors who did one micro-conversion at least n times, and not another, in the time up to as_of, both ends included;
-- with the user id when the actor is a user. Occurrences with the same transaction id count once.
-- grain: actor_key
-- params: did STRING, not_did STRING, at_least INT64, within_us INT64, as_of TIMESTAMP
-- structure: none
WITH recent AS (
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
),

users AS (
  SELECT s.actor_key, MIN(s.user_id) AS user_id
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id IS NOT NULL
  GROUP BY s.actor_key
)

SELECT m.actor_key, u.user_id
FROM matching AS m
LEFT JOIN users AS u ON u.actor_key = m.actor_key
ORDER BY m.actor_key
