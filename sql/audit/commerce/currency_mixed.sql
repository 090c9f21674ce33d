-- Purchases whose value is in another currency than the project's.
-- severity: warning
-- finding: {count} of {total} values of purchases ({share}) {dates} are in {subject}, which is not the project's
--   currency.
-- remedy: If the shop sells in this currency, report it apart: microconv never adds up two currencies. If it does
--   not, the tag names the wrong one, and revenue in GA4 is converted by a rate that does not belong to it.
-- threshold: min_share FLOAT64 = 0.005 share of values from which it is told
-- threshold: min_count INT64 = 5 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>, currency STRING
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
WITH valued AS (
  SELECT o.event_date, o.currency, COUNT(*) AS count
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE
    o.micro_conversion IN UNNEST(@purchase_ids)
    AND o.external_source IS NULL
    AND o.value != 0
    AND o.currency IS NOT NULL
    AND {{ in_period('o.event_date' | identifier) }}
  GROUP BY o.event_date, o.currency
),

counts AS (
  SELECT v.currency AS subject, v.event_date, v.count, CAST(NULL AS STRING) AS detail
  FROM valued AS v
  WHERE v.currency != @currency
),

totals AS (
  SELECT v.event_date, SUM(v.count) AS total
  FROM valued AS v
  GROUP BY v.event_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
