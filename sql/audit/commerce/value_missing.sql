-- Purchases without a value: revenue is missing or 0.
-- severity: error
-- finding: {count} of {total} occurrences of {subject} ({share}) {dates} have no value, or the value 0{detail}.
-- remedy: Send value and currency with each purchase, or remove what sends empty ones. Revenue, value per visitor and
--   attribution are too low for these days.
-- threshold: min_share FLOAT64 = 0.02 share of purchases from which it is told
-- threshold: min_count INT64 = 5 purchases from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH counted AS (
  SELECT
    o.micro_conversion AS subject,
    o.event_date,
    COUNTIF(COALESCE(o.value, 0) = 0) AS count,
    COUNT(*) AS total,
    COUNTIF(COALESCE(o.value, 0) = 0 AND o.transaction_id IS NULL) AS without_id
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE
    o.micro_conversion IN UNNEST(@purchase_ids)
    AND o.external_source IS NULL
    AND {{ in_period('o.event_date' | identifier) }}
  GROUP BY o.micro_conversion, o.event_date
),

worst AS (
  SELECT
    c.subject,
    SUM(c.count) AS count,
    SUM(c.without_id) AS without_id,
    ANY_VALUE(
      STRUCT(c.event_date AS event_date, c.count AS count, c.total AS total)
      HAVING MAX IF(c.count >= @min_count, c.count / c.total, NULL)
    ) AS worst_day,
    MAX(c.count) >= @min_count AS has_worst_day
  FROM counted AS c
  GROUP BY c.subject
),

days AS (
  SELECT
    c.subject,
    c.event_date,
    c.count,
    c.total,
    CONCAT(
      CASE
        WHEN w.without_id = w.count THEN '; none of them has a transaction id'
        WHEN w.without_id * 2 > w.count THEN '; most of them have no transaction id either'
        ELSE ''
      END,
      IF(
        w.has_worst_day,
        CONCAT(
          '; worst on ', CAST(w.worst_day.event_date AS STRING), ' with ', CAST(w.worst_day.count AS STRING), ' of ',
          CAST(w.worst_day.total AS STRING)
        ),
        ''
      )
    ) AS detail
  FROM counted AS c
  INNER JOIN worst AS w ON w.subject = c.subject
)

{{ told('days') }}
ORDER BY subject, event_date
