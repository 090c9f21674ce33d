-- Refunds whose transaction id is not that of a purchase.
-- severity: warning
-- finding: {count} of {total} refunds ({share}) {dates} name a transaction id that no purchase has, or none: such as
--   {detail}.
-- remedy: Send refunds with the transaction_id of the purchase they take back, letter by letter the same. GA4 takes
--   them off no purchase otherwise. Refunds of purchases before the first staged day are left out for the first days
--   (history_days).
-- threshold: history_days INT64 = 14 staged days before a refund without which it is not judged
-- threshold: min_share FLOAT64 = 0.2 share of refunds from which it is told
-- threshold: min_count INT64 = 5 refunds from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, entry_event_ids ARRAY<STRING>, entry_event_names ARRAY<STRING>,
--   purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
{% from 'audit/_purchases.sql' import purchase_events with context %}
WITH begins AS (
  SELECT h.property, MIN(h.event_date) AS first_staged
  FROM {{ relation('mc_shards') }} AS h
  GROUP BY h.property
),

bought AS (
  SELECT e.property, e.transaction_id, MIN(e.event_date) AS bought_on
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name IN ({{ purchase_events() }}) AND e.transaction_id IS NOT NULL
  GROUP BY e.property, e.transaction_id
),

days AS (
  SELECT
    'refund' AS subject,
    r.event_date,
    COUNTIF(b.transaction_id IS NULL) AS count,
    COUNT(*) AS total,
    COALESCE(MAX(IF(b.transaction_id IS NULL, r.transaction_id, NULL)), '(none)') AS detail
  FROM {{ relation('mc_events') }} AS r
  INNER JOIN begins AS g ON g.property = r.property
  LEFT JOIN bought AS b
    ON b.property = r.property AND b.transaction_id = r.transaction_id AND b.bought_on <= r.event_date
  WHERE
    r.event_name = 'refund'
    AND DATE_DIFF(r.event_date, g.first_staged, DAY) >= @history_days
    AND {{ in_period('r.event_date' | identifier) }}
  GROUP BY r.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
