-- What actors did that some entries of the taxonomy count, the latest first, each with its event.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: actor_keys ARRAY<INT64>, entries ARRAY<STRING>, most INT64
-- structure: none
WITH occurrences AS (
  SELECT
    m.property, m.event_date, m.event_at, m.client_key, m.event_order, m.micro_conversion, m.session_key, m.external_source,
    m.is_derived
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.actor_key IN UNNEST(@actor_keys) AND m.micro_conversion IN UNNEST(@entries)
  ORDER BY m.event_at DESC, m.event_order DESC, m.micro_conversion
  LIMIT @most
)

SELECT
  o.property, o.event_date, o.event_at, o.client_key, o.event_order, o.micro_conversion, o.session_key, o.external_source,
  o.is_derived, e.event_name
FROM occurrences AS o
LEFT JOIN {{ relation('mc_events') }} AS e
  ON
    e.property = o.property
    AND e.event_date = o.event_date
    AND e.client_key = o.client_key
    AND e.event_order = o.event_order
ORDER BY o.event_at DESC, o.event_order DESC, o.micro_conversion
