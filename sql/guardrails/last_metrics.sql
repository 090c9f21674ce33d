-- Every metric of other systems with each of its dimensions: the last day that has a value, up to a day.
-- grain: name, dimension
-- params: until DATE
-- structure: none
{% import 'guardrails/_readings.sql' as readings with context %}
WITH metrics AS ({{ readings.metrics() }})

SELECT m.name, m.dimension, MAX(m.day) AS last_date
FROM metrics AS m
WHERE m.day <= @until
GROUP BY m.name, m.dimension
ORDER BY m.name, m.dimension
