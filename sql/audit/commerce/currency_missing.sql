-- Events that have a value and name no currency.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}) {dates} name no currency.
-- remedy: Send the parameter currency with each value: GA4 does not count a value without one as revenue. If all are
--   in your currency, set project.assume_currency = true until that is mended.
-- threshold: min_share FLOAT64 = 0.01 share of values from which it is told
-- threshold: min_count INT64 = 5 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, currency STRING
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH days AS (
  SELECT
    e.event_name AS subject,
    e.event_date,
    COUNTIF(e.currency IS NULL AND NOT (@currency = 'USD' AND e.value_in_usd IS NOT NULL)) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_events') }} AS e
  WHERE e.value != 0 AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
