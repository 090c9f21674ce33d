-- The last staged day of a property that was over when it was staged: of all days, and of those that a batch leaves as they
-- are; and the first staged day.
-- grain: none
-- params: property STRING, changed_dates ARRAY<DATE>
SELECT
  MIN(s.event_date) AS first_day,
  MAX(IF(s.is_day_over, s.event_date, NULL)) AS last_over,
  MAX(IF(s.is_day_over AND NOT (s.event_date IN UNNEST(@changed_dates)), s.event_date, NULL)) AS last_other_over
FROM {{ relation('mc_shards') }} AS s
WHERE s.property = @property
