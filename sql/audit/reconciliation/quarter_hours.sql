-- Events by quarter of an hour (UTC): of these, the days of any time zone can be counted again.
-- grain: quarter_at
-- params: property STRING, first_date DATE, last_date DATE
-- structure: none
SELECT
  TIMESTAMP_MICROS(DIV(UNIX_MICROS(e.event_at), 900000000) * 900000000) AS quarter_at,
  COUNT(*) AS events
FROM {{ relation('mc_events') }} AS e
WHERE
  e.property = @property
  AND e.event_date BETWEEN DATE_SUB(@first_date, INTERVAL 1 DAY) AND DATE_ADD(@last_date, INTERVAL 1 DAY)
GROUP BY quarter_at
ORDER BY quarter_at
