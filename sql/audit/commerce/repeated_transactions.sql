-- Purchases that repeat an earlier one: the same visitor, the same transaction id and the same value.
-- severity: warning
-- finding: {count} of {total} purchases ({share}) {dates} repeat an earlier one of the same visitor, with the same
--   transaction id and value, such as {detail}.
-- remedy: The purchase is sent again, mostly when the page of thanks is opened again or a second tag sends it. Send
--   it once for each order. GA4 counts such a purchase once, and microconv counts its value once; a sum of the raw
--   export is too high.
-- threshold: min_share FLOAT64 = 0.01 share of purchases from which it is told
-- threshold: min_count INT64 = 5 purchases from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH purchases AS (
  SELECT
    o.event_date,
    o.micro_conversion,
    o.transaction_id,
    ROW_NUMBER() OVER (
      PARTITION BY o.property, o.micro_conversion, o.actor_key, o.transaction_id, CAST(ROUND(o.value * 100) AS INT64)
      ORDER BY o.event_at, o.client_key, o.event_order
    ) AS place
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.micro_conversion IN UNNEST(@purchase_ids) AND o.external_source IS NULL
),

days AS (
  SELECT
    p.micro_conversion AS subject,
    p.event_date,
    COUNTIF(p.transaction_id IS NOT NULL AND p.place > 1) AS count,
    COUNT(*) AS total,
    MIN(IF(p.place > 1, p.transaction_id, NULL)) AS detail
  FROM purchases AS p
  WHERE {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.micro_conversion, p.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
