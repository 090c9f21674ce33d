{% from 'audit/_days.sql' import in_period %}
{# Where values of a kind are found: by parameter, with the events that carry most of them, and no example: what the profile
   keeps is the most frequent value, which need not be one of them. `column` counts them in
   mc_profile. #}
{% macro values(column) %}
WITH rows_by_event AS (
  SELECT
    p.parameter,
    p.event_name,
    p.event_date,
    SUM(p.{{ column | identifier }}) AS count,
    SUM(p.event_rows) AS total
  FROM {{ relation('mc_profile') }} AS p
  WHERE p.parameter != '' AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter, p.event_name, p.event_date
),

events AS (
  SELECT
    r.parameter,
    r.event_name,
    SUM(r.count) AS count,
    SUM(r.total) AS total
  FROM rows_by_event AS r
  GROUP BY r.parameter, r.event_name
  HAVING SUM(r.count) > 0
),

ranked AS (
  SELECT
    e.*,
    ROW_NUMBER() OVER (PARTITION BY e.parameter ORDER BY e.count DESC, e.event_name) AS place
  FROM events AS e
),

parameters AS (
  SELECT
    r.parameter,
    CONCAT(
      r.parameter, ' (', STRING_AGG(IF(r.place <= 3, r.event_name, NULL), ', ' ORDER BY r.place),
      IF(COUNT(*) > 3, CONCAT(' and ', CAST(COUNT(*) - 3 AS STRING), ' more'), ''), ')'
    ) AS subject
  FROM ranked AS r
  GROUP BY r.parameter
  HAVING SUM(r.count) >= @min_count AND SUM(r.count) >= @min_share * SUM(r.total)
)

SELECT
  p.subject,
  r.event_date,
  CAST(SUM(r.count) AS INT64) AS count,
  CAST(SUM(r.total) AS INT64) AS total,
  CAST(NULL AS STRING) AS detail
FROM rows_by_event AS r
INNER JOIN parameters AS p ON p.parameter = r.parameter
INNER JOIN events AS e ON e.parameter = r.parameter AND e.event_name = r.event_name
GROUP BY p.subject, r.event_date
HAVING SUM(r.count) > 0
ORDER BY subject, event_date
{%- endmacro %}
