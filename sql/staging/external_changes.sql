-- Those occurrences of other systems' events that lie on the changed days.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: changed_dates ARRAY<DATE>
-- structure: properties
SELECT
  o.property,
  o.event_date,
  o.event_at,
  o.event_order,
  o.micro_conversion,
  o.kind,
  o.stage,
  o.client_key,
  o.actor_key,
  o.session_key,
  o.value,
  o.currency,
  o.value_in_usd,
  o.transaction_id,
  o.page,
  o.is_provisional,
  o.copies,
  o.external_source,
  CAST(NULL AS INT64) AS engagement_msec,
  FALSE AS is_derived
  {%- for property_column in properties %}, o.{{ property_column | identifier }}{% endfor %}

FROM {{ relation('external_occurrences') }} AS o
WHERE o.event_date IN UNNEST(@changed_dates)
