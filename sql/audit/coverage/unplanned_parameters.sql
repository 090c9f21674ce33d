-- Parameters of the taxonomy's events that the taxonomy does not name, beside those that GA4 sends by itself or
-- proposes.
-- severity: note
-- finding: The taxonomy does not name {count} of the {total} parameters that its events come with, beside GA4's own:
--   {detail}.
-- remedy: Name those that conditions or readers need under `parameters` of their entries; stop sending what nobody
--   uses.
-- threshold: min_share FLOAT64 = 0.001 share of the taxonomy's events that come with a parameter from which it is told
-- grain: subject
-- params: first_date DATE, last_date DATE, listened_events ARRAY<STRING>, planned_parameters ARRAY<STRING>,
--   automatic_parameters ARRAY<STRING>, recommended_parameters ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH cells AS (
  SELECT p.parameter, SUM(p.event_rows) AS event_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE p.event_name IN UNNEST(@listened_events) AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter
),

totals AS (
  SELECT c.event_rows AS total
  FROM cells AS c
  WHERE c.parameter = ''
),

-- GA4's own are of nobody's making.
parameters AS (
  SELECT
    c.parameter,
    c.event_rows,
    c.parameter NOT IN UNNEST(@planned_parameters)
    AND c.parameter NOT IN UNNEST(@recommended_parameters)
    AND c.event_rows >= @min_share * t.total AS is_unplanned
  FROM cells AS c
  CROSS JOIN totals AS t
  WHERE
    c.parameter != ''
    AND NOT STARTS_WITH(c.parameter, 'user_property.')
    AND c.parameter NOT IN UNNEST(@automatic_parameters)
),

ranked AS (
  SELECT
    p.*,
    ROW_NUMBER() OVER (ORDER BY NOT p.is_unplanned, p.event_rows DESC, p.parameter) AS place
  FROM parameters AS p
)

SELECT
  '' AS subject,
  CAST(NULL AS DATE) AS event_date,
  COUNTIF(r.is_unplanned) AS count,
  COUNT(*) AS total,
  CONCAT(
    STRING_AGG(IF(r.is_unplanned AND r.place <= 10, r.parameter, NULL), ', ' ORDER BY r.place),
    IF(COUNTIF(r.is_unplanned) > 10, CONCAT(' and ', CAST(COUNTIF(r.is_unplanned) - 10 AS STRING), ' more'), '')
  ) AS detail,
  0 AS macro_conversions
FROM ranked AS r
HAVING COUNTIF(r.is_unplanned) > 0
