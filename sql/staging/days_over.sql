-- The staged days of a property that were over when they were staged, and which of them a batch leaves as they are.
-- grain: event_date
-- params: property STRING, changed_dates ARRAY<DATE>
SELECT s.event_date, NOT (s.event_date IN UNNEST(@changed_dates)) AS stays
FROM {{ relation('mc_shards') }} AS s
WHERE s.property = @property AND s.is_day_over
ORDER BY s.event_date
