-- Purchases that have a value and no transaction id, or a placeholder such as '(not set)' in its place.
-- severity: error
-- finding: {count} of {total} occurrences of {subject} ({share}) {dates} have a value and no transaction id.
-- remedy: Send the shop's order number as transaction_id. Without it nobody can tell a purchase from its repetition, or
--   join it with the shop's books. The check value_missing tells purchases that lack their value too.
-- threshold: min_share FLOAT64 = 0.01 share of purchases from which it is told
-- threshold: min_count INT64 = 5 purchases from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH days AS (
  SELECT
    o.micro_conversion AS subject,
    o.event_date,
    COUNTIF(o.transaction_id IS NULL AND o.value != 0) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE
    o.micro_conversion IN UNNEST(@purchase_ids)
    AND o.external_source IS NULL
    AND {{ in_period('o.event_date' | identifier) }}
  GROUP BY o.micro_conversion, o.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
