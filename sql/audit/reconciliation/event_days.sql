-- How often each event happened on each day, with or without consent, how many copies were removed, and by how many users.
-- grain: event_date, event_name
-- params: property STRING, first_date DATE, last_date DATE
-- structure: none
SELECT
  e.event_date,
  e.event_name,
  COUNT(*) AS events,
  COUNTIF(e.client_key IS NULL) AS consentless_events,
  CAST(SUM(COALESCE(e.copies, 1) - 1) AS INT64) AS copies,
  COUNT(DISTINCT e.client_key) AS users
FROM {{ relation('mc_events') }} AS e
WHERE e.property = @property AND e.event_date BETWEEN @first_date AND @last_date
GROUP BY e.event_date, e.event_name
ORDER BY e.event_date, e.event_name
