-- What touchpoints cost by day, from a table of the engine.
-- grain: none
-- params: none
-- structure: none
SELECT
  CAST(s.date AS DATE) AS day,
  CAST(s.touchpoint AS STRING) AS touchpoint,
  CAST(s.cost AS FLOAT64) AS cost
FROM {{ relation('spend') }} AS s
WHERE s.date IS NOT NULL AND s.touchpoint IS NOT NULL AND s.cost IS NOT NULL
ORDER BY day, s.touchpoint, s.cost
