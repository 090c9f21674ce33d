-- Purchases whose value is not the sum of price times quantity of their items, beyond what tax, shipping and
-- discounts explain.
-- severity: warning
-- finding: {count} of {total} purchases with priced items ({share}) {dates} have a value that is not the sum of price times
--   quantity of their items: {detail}.
-- remedy: Send as value the sum of price times quantity over the items, without tax and shipping, as GA4 defines it,
--   and each price for one piece in the same currency. Revenue by product does not add up to revenue otherwise.
-- threshold: tolerance FLOAT64 = 0.5 part of the sum by which a value may differ (tax, shipping, discounts)
-- threshold: min_share FLOAT64 = 0.05 share of purchases from which it is told
-- threshold: min_count INT64 = 5 purchases from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, entry_event_ids ARRAY<STRING>, entry_event_names ARRAY<STRING>,
--   purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
{% from 'audit/_purchases.sql' import purchase_events with context %}
WITH purchases AS (
  SELECT e.event_date, e.value, e.items_value, e.value / e.items_value AS ratio
  FROM {{ relation('mc_events') }} AS e
  WHERE
    e.event_name IN ({{ purchase_events() }})
    AND e.value > 0
    AND e.items_value > 0
    AND {{ in_period('e.event_date' | identifier) }}
),

judged AS (
  SELECT
    p.event_date,
    p.value,
    p.items_value,
    p.ratio > 1 + @tolerance OR p.ratio < 1 / (1 + @tolerance) AS is_off,
    PERCENTILE_CONT(p.ratio, 0.5) OVER () AS usual_ratio
  FROM purchases AS p
),

-- Off by the same factor nearly always is a rule of the tag; off now and then are odd orders.
days AS (
  SELECT
    IF(
      MAX(j.usual_ratio) > 1 + @tolerance OR MAX(j.usual_ratio) < 1 / (1 + @tolerance), 'most of them', 'some of them'
    ) AS subject,
    j.event_date,
    COUNTIF(j.is_off) AS count,
    COUNT(*) AS total,
    IF(
      MAX(j.usual_ratio) > 1 + @tolerance OR MAX(j.usual_ratio) < 1 / (1 + @tolerance),
      CONCAT('it is usually ', CAST(ROUND(MAX(j.usual_ratio), 2) AS STRING), ' times the sum'),
      'most other purchases fit'
    ) AS detail
  FROM judged AS j
  GROUP BY j.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
