-- A metric of another system by day: its mean over properties, and its sum. Where files give a property several values for one
-- day, their mean counts, and `differing` says for how many properties they differ.
-- grain: event_date
-- params: name STRING, dimension STRING, first_date DATE, last_date DATE
-- structure: none
{% import 'guardrails/_readings.sql' as readings with context %}
WITH metrics AS ({{ readings.metrics() }}),

of_properties AS (
  SELECT m.day, m.property, AVG(m.value) AS value, MIN(m.value) != MAX(m.value) AS is_differing
  FROM metrics AS m
  WHERE m.name = @name AND m.dimension = @dimension AND m.day BETWEEN @first_date AND @last_date
  GROUP BY m.day, m.property
)

SELECT p.day AS event_date, AVG(p.value) AS mean, SUM(p.value) AS total, COUNTIF(p.is_differing) AS differing
FROM of_properties AS p
GROUP BY p.day
ORDER BY p.day
