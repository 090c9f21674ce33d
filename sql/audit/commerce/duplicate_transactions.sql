-- Purchases with the transaction id of another purchase that has another value, or that another visitor made.
-- severity: error
-- finding: {count} of {total} purchases ({share}) {dates} have a transaction id that also stands on a purchase
--   {subject}, such as {detail}.
-- remedy: Make the shop's order number the transaction_id, one for each order, and send the purchase once, when the
--   order is placed. GA4 and microconv count such purchases each: compare revenue with the shop's own books.
-- threshold: min_share FLOAT64 = 0.01 share of purchases from which it is told
-- threshold: min_count INT64 = 5 purchases from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH purchases AS (
  SELECT
    o.property,
    o.event_date,
    o.micro_conversion,
    o.transaction_id,
    COUNT(*) OVER (PARTITION BY o.property, o.micro_conversion, o.transaction_id) AS rows_of_id,
    MIN(o.actor_key) OVER (PARTITION BY o.property, o.micro_conversion, o.transaction_id) AS lowest_actor,
    MAX(o.actor_key) OVER (PARTITION BY o.property, o.micro_conversion, o.transaction_id) AS highest_actor,
    MIN(ROUND(o.value, 2)) OVER (PARTITION BY o.property, o.micro_conversion, o.transaction_id) AS lowest_value,
    MAX(ROUND(o.value, 2)) OVER (PARTITION BY o.property, o.micro_conversion, o.transaction_id) AS highest_value
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.micro_conversion IN UNNEST(@purchase_ids) AND o.external_source IS NULL
),

-- Two visitors with one id and one value are mostly one who changed the device or lost the cookie: told apart from
-- what cannot be one order.
judged AS (
  SELECT
    p.event_date,
    p.transaction_id,
    p.transaction_id IS NOT NULL AND p.rows_of_id > 1 AND p.highest_value > p.lowest_value AS has_other_value,
    p.transaction_id IS NOT NULL
    AND p.rows_of_id > 1
    AND p.highest_actor > p.lowest_actor
    AND NOT COALESCE(p.highest_value > p.lowest_value, FALSE) AS has_other_actor
  FROM purchases AS p
  WHERE {{ in_period('p.event_date' | identifier) }}
),

days AS (
  SELECT
    'of another value' AS subject,
    j.event_date,
    COUNTIF(j.has_other_value) AS count,
    COUNT(*) AS total,
    MIN(IF(j.has_other_value, j.transaction_id, NULL)) AS detail
  FROM judged AS j
  GROUP BY j.event_date
  UNION ALL
  SELECT
    'of another visitor' AS subject,
    j.event_date,
    COUNTIF(j.has_other_actor) AS count,
    COUNT(*) AS total,
    MIN(IF(j.has_other_actor, j.transaction_id, NULL)) AS detail
  FROM judged AS j
  GROUP BY j.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
