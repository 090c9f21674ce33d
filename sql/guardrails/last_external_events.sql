-- Names of other systems' events: the last day of any row of the tables that they come from, up to a day. Until then it is known
-- that nothing happened where no row says so.
-- grain: name
-- params: names ARRAY<STRING>, until DATE
-- structure: none
WITH counting AS (
  SELECT e.name, e.source, e.event_date
  FROM {{ relation('mc_external_events') }} AS e
  INNER JOIN {{ relation('mc_external_files') }} AS f ON f.reading = e.reading
  WHERE f.kind = 'events' AND e.event_date <= @until
),

last_days AS (
  SELECT c.source, MAX(c.event_date) AS last_date
  FROM counting AS c
  GROUP BY c.source
)

SELECT c.name, MAX(l.last_date) AS last_date
FROM counting AS c
INNER JOIN last_days AS l ON l.source = c.source
WHERE c.name IN UNNEST(@names)
GROUP BY c.name
ORDER BY c.name
