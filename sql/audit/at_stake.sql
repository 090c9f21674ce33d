-- What each day brought: macro-conversions and, in the project's currency, their value.
-- grain: event_date
-- params: macro_ids ARRAY<STRING>, currency STRING
-- structure: none
SELECT
  m.event_date,
  COUNT(*) AS macro_conversions,
  SUM(IF(COALESCE(m.currency, @currency) = @currency, m.value, NULL)) AS value
FROM {{ relation('mc_micro_conversions') }} AS m
WHERE m.micro_conversion IN UNNEST(@macro_ids)
GROUP BY m.event_date
ORDER BY m.event_date
