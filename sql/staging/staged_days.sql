-- What a batch of changed days holds: rows to keep in mc_shards, and how far events stray from their day.
-- grain: event_date
-- params: none
SELECT
  c.event_date,
  COUNT(*) AS events,
  SUM(c.copies) - COUNT(*) AS duplicates_removed,
  COUNTIF(c.client_key IS NULL) AS consentless_events,
  COUNTIF(c.event_at IS NULL OR c.event_name IS NULL) AS incomplete_events,
  MIN(c.event_at) AS first_event_at,
  MAX(c.event_at) AS last_event_at
FROM {{ relation('changed_events') }} AS c
GROUP BY c.event_date
ORDER BY c.event_date
