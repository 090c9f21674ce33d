-- The days of a property on which events of other systems are staged, with what their rows come to (see external_days).
-- grain: property, event_date
-- params: property STRING
-- structure: none
SELECT d.property, d.event_date, d.occurrences, d.low_sum, d.high_sum
FROM {{ relation('mc_external_days') }} AS d
WHERE d.property = @property
ORDER BY d.event_date
