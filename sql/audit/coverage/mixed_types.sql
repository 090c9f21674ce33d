-- Parameters that are nearly always text with some events or on some platforms, and nearly always a number with others.
-- Whole numbers and numbers with parts are one type here, and a few numbers among text are too: GA4 makes both itself.
-- severity: warning
-- finding: Text in some events and a number in others: {subject} ({detail}). {count} of {total} values ({share}) are of
--   the rarer type.
-- remedy: Send the parameter with one type everywhere, or give the two meanings two names: queries and custom metrics
--   read one of the types only.
-- threshold: min_rows INT64 = 50 values of an event and platform below which these are left out
-- threshold: min_share FLOAT64 = 0.9 share of one type from which an event's values are taken to be of it
-- grain: subject
-- params: first_date DATE, last_date DATE, automatic_parameters ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH cells AS (
  SELECT
    p.parameter,
    p.event_name,
    p.platform,
    SUM(IF(p.value_type = 'string', p.event_rows - COALESCE(p.rows_empty, 0), 0)) AS rows_of_text,
    SUM(IF(p.value_type IN ('int', 'float'), p.event_rows, 0)) AS rows_of_numbers
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter != ''
    AND p.parameter NOT IN UNNEST(@automatic_parameters)
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter, p.event_name, p.platform
),

typed AS (
  SELECT
    c.*,
    CONCAT(c.event_name, IF(c.platform = '', '', CONCAT(' on ', c.platform))) AS place,
    CASE
      WHEN c.rows_of_text >= @min_share * (c.rows_of_text + c.rows_of_numbers) THEN 'text'
      WHEN c.rows_of_numbers >= @min_share * (c.rows_of_text + c.rows_of_numbers) THEN 'number'
    END AS type
  FROM cells AS c
  WHERE c.rows_of_text + c.rows_of_numbers >= @min_rows
)

SELECT
  t.parameter AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(LEAST(SUM(t.rows_of_text), SUM(t.rows_of_numbers)) AS INT64) AS count,
  CAST(SUM(t.rows_of_text) + SUM(t.rows_of_numbers) AS INT64) AS total,
  CONCAT(
    'text with ', ANY_VALUE(IF(t.type = 'text', t.place, NULL) HAVING MAX IF(t.type = 'text', t.rows_of_text, NULL)),
    ', a number with ',
    ANY_VALUE(IF(t.type = 'number', t.place, NULL) HAVING MAX IF(t.type = 'number', t.rows_of_numbers, NULL))
  ) AS detail
FROM typed AS t
GROUP BY t.parameter
HAVING COUNTIF(t.type = 'text') > 0 AND COUNTIF(t.type = 'number') > 0
ORDER BY subject
