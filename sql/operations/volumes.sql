-- How often each micro-conversion happened in all, by how many actors, and when first and last.
-- grain: micro_conversion
-- params: none
-- structure: none
SELECT
  m.micro_conversion,
  COUNT(*) AS occurrences,
  COUNT(DISTINCT m.actor_key) AS actors,
  MIN(m.event_date) AS first_date,
  MAX(m.event_date) AS last_date
FROM {{ relation('mc_micro_conversions') }} AS m
GROUP BY m.micro_conversion
ORDER BY m.micro_conversion
