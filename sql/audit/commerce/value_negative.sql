-- Events other than refunds that have a value below 0.
-- severity: error
-- finding: {count} of {total} values of {subject} ({share}) {dates} are below 0; the lowest is {detail}.
-- remedy: Send refunds as the event refund, with the value above 0, and discounts within the value. A value below 0
--   lowers revenue without a trace.
-- threshold: min_count INT64 = 1 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH days AS (
  SELECT
    e.event_name AS subject,
    e.event_date,
    COUNTIF(e.value < 0) AS count,
    COUNT(*) AS total,
    MIN(e.value) AS lowest
  FROM {{ relation('mc_events') }} AS e
  WHERE e.value IS NOT NULL AND e.event_name != 'refund' AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.event_date
),

summed AS (
  SELECT
    d.*,
    SUM(d.count) OVER (PARTITION BY d.subject) AS count_of_all,
    MIN(d.lowest) OVER (PARTITION BY d.subject) AS lowest_of_all
  FROM days AS d
)

SELECT s.subject, s.event_date, s.count, s.total, CAST(s.lowest_of_all AS STRING) AS detail
FROM summed AS s
WHERE s.count > 0 AND s.count_of_all >= @min_count
ORDER BY subject, event_date
