-- Purchases whose value is far out of what this property's purchases are worth: single ones, and whole days.
-- severity: warning
-- finding: {count} of {total} values of purchases ({share}) {dates} are {subject}, such as {detail}.
-- remedy: Look up these orders in the shop. Common causes are cents in place of whole amounts, another currency, a
--   decimal comma, and test orders. One such value outweighs all others in revenue and attribution.
-- threshold: spread FLOAT64 = 6.0 how many robust standard deviations (of the logarithm) one value lies off the
--   median to be told
-- threshold: day_ratio FLOAT64 = 8.0 how many times a day's median lies above or below that of all days to be told
-- threshold: min_count INT64 = 30 values that are needed to judge
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH valued AS (
  SELECT o.micro_conversion, o.event_date, o.value, LN(o.value) AS size
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE
    o.micro_conversion IN UNNEST(@purchase_ids)
    AND o.external_source IS NULL
    AND o.value > 0
    AND {{ in_period('o.event_date' | identifier) }}
),

centred AS (
  SELECT
    v.*,
    PERCENTILE_CONT(v.size, 0.5) OVER (PARTITION BY v.micro_conversion) AS middle,
    PERCENTILE_CONT(v.size, 0.5) OVER (PARTITION BY v.micro_conversion, v.event_date) AS middle_of_day,
    COUNT(*) OVER (PARTITION BY v.micro_conversion) AS values_of_all,
    COUNT(*) OVER (PARTITION BY v.micro_conversion, v.event_date) AS values_of_day
  FROM valued AS v
),

-- Where all purchases cost the same, half of a natural spread is assumed.
spread AS (
  SELECT
    c.*,
    GREATEST(
      1.4826 * PERCENTILE_CONT(ABS(c.size - c.middle), 0.5) OVER (PARTITION BY c.micro_conversion), 0.5
    ) AS deviation
  FROM centred AS c
),

judged AS (
  SELECT
    s.event_date,
    s.value,
    s.micro_conversion,
    CASE
      WHEN s.values_of_day >= 5 AND s.middle_of_day - s.middle >= LN(@day_ratio)
        THEN 'far above the usual on the whole day'
      WHEN s.values_of_day >= 5 AND s.middle - s.middle_of_day >= LN(@day_ratio)
        THEN 'far below the usual on the whole day'
      WHEN s.size - s.middle >= @spread * s.deviation THEN 'far above all others'
    END AS subject
  FROM spread AS s
  WHERE s.values_of_all >= @min_count
),

totals AS (
  SELECT j.event_date, COUNT(*) AS total
  FROM judged AS j
  GROUP BY j.event_date
)

SELECT
  j.subject,
  j.event_date,
  COUNT(*) AS count,
  MAX(t.total) AS total,
  CAST(ROUND(IF(j.subject = 'far below the usual on the whole day', MIN(j.value), MAX(j.value)), 2) AS STRING) AS detail
FROM judged AS j
INNER JOIN totals AS t ON t.event_date = j.event_date
WHERE j.subject IS NOT NULL
GROUP BY j.subject, j.event_date
ORDER BY subject, event_date
