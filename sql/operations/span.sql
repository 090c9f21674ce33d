-- One row: the first and the last staged day, and the last one whose numbers no longer change; NULL when there is none.
-- grain: none
-- params: none
-- structure: none
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

days AS (
  SELECT t.event_date, LOGICAL_OR(t.is_provisional) AS is_provisional
  FROM standing AS t
  GROUP BY t.event_date
)

SELECT
  MIN(d.event_date) AS first_date,
  MAX(d.event_date) AS last_date,
  MAX(IF(d.is_provisional, NULL, d.event_date)) AS last_complete_date
FROM days AS d
