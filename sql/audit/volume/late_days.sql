-- Days that still rest on an intraday or fresh table more than three days later, where the property has daily ones: GA4 replaces it within three days, and until then the day lacks events and traffic sources.
-- severity: note
-- finding: Property {subject}: {count} days {dates} still rest on an intraday or fresh table, though newer days have their daily one.
-- remedy: Look in BigQuery whether the daily tables of these days are there, and run `microconv sync` again. If they are not, the export of these days failed: say so in reports.
-- threshold: late_after_days INT64 = 3 days until the daily table is late
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
WITH newest AS (
  SELECT s.property, MAX(s.event_date) AS newest_date
  FROM {{ relation('mc_shards') }} AS s
  WHERE s.kind = 'daily'
  GROUP BY s.property
)

SELECT s.property AS subject, s.event_date, 1 AS count, 1 AS total, CAST(NULL AS STRING) AS detail
FROM {{ relation('mc_shards') }} AS s
INNER JOIN newest AS n ON n.property = s.property
WHERE
  s.kind <> 'daily'
  AND DATE_DIFF(n.newest_date, s.event_date, DAY) > @late_after_days
  AND (@first_date IS NULL OR s.event_date >= @first_date)
  AND (@last_date IS NULL OR s.event_date <= @last_date)
ORDER BY subject, s.event_date
