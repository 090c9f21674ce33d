-- One row: the last staged day whose numbers are final, up to a day; NULL when there is none.
-- grain: none
-- params: until DATE
-- structure: none
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

final_days AS (
  SELECT t.event_date
  FROM standing AS t
  WHERE t.event_date <= @until
  GROUP BY t.event_date
  HAVING NOT LOGICAL_OR(t.is_provisional)
)

SELECT MAX(f.event_date) AS last_date
FROM final_days AS f
