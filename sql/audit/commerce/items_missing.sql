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
WITH counted AS (
  SELECT
    e.event_name AS subject,
    e.event_date,
    COUNTIF(COALESCE(e.item_count, 0) = 0) AS count,
    COUNT(*) AS total
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name IN UNNEST(@item_events) AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.event_date
),

days AS (
  SELECT
    c.*,
    CONCAT(
      CAST(
        CAST(
          ROUND(
            100 * SUM(c.count) OVER (PARTITION BY c.subject) / SUM(c.total) OVER (PARTITION BY c.subject)
          ) AS INT64
        ) AS STRING
      ),
      '% of ',
      c.subject
    ) AS detail
  FROM counted AS c
)

{{ told('days') }}
ORDER BY subject, event_date
