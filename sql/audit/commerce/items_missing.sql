-- E-commerce events without items.
-- severity: warning
-- finding: {count} of {total} events {subject} ({share}) {dates} carry no items: {detail}.
-- remedy: Send the array items with the event, as GA4's e-commerce asks for. What was seen, put into the cart or
--   bought is unknown otherwise, and product reports leave these events out.
-- threshold: min_share FLOAT64 = 0.05 share of the event's rows from which it is told
-- threshold: min_count INT64 = 10 rows from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, item_events ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH days AS (
  SELECT
    e.event_name AS subject,
    e.event_date,
    COUNTIF(COALESCE(e.item_count, 0) = 0) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name IN UNNEST(@item_events) AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.event_date
),

faults AS ({{ told('days') }})

SELECT
  f.subject,
  f.event_date,
  f.count,
  f.total,
  CONCAT(
    CAST(
      CAST(
        ROUND(100 * SUM(f.count) OVER (PARTITION BY f.subject) / SUM(f.total) OVER (PARTITION BY f.subject)) AS INT64
      ) AS STRING
    ),
    '% of ',
    f.subject
  ) AS detail
FROM faults AS f
ORDER BY subject, event_date
