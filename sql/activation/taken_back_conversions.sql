-- Of what a destination would be told of a conversion, that which no guardrail stops: orders are taken back whose person denied
-- consent, or whose money was given back.
-- grain: order_id
-- params: none
-- structure: none
SELECT
  c.order_id, c.property, c.event_date, c.external_source, c.occurred_at, c.actor_key, c.user_id, c.value_micros, c.currency,
  c.who, c.operation, c.said, c.verdict, c.why, c.was_sent, c.first_sent_at, c.refusals, c.unsure_until
FROM {{ relation('conversion_changes') }} AS c
INNER JOIN {{ relation('conversion_people') }} AS p ON p.order_id = c.order_id
INNER JOIN {{ relation('conversion_orders') }} AS o ON o.order_id = c.order_id
WHERE c.verdict = 'send' AND c.operation = 'retract' AND (p.reason = 'consent_denied' OR o.standing = 'refunded')
