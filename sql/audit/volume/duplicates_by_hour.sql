-- Exact copies of events in the export, by event and day, with the hour of the day that has most of them. Staging leaves them out; whoever reads the raw export counts them twice.
-- severity: warning
-- finding: {share} of the rows of {subject} {dates} are exact copies of others, most of them at {detail}.
-- remedy: Figures of this tool hold each event once. Look for a page that sends its events again, a server that retries, or an export that was loaded twice, and remove copies in every other report on the raw export.
-- threshold: min_share FLOAT64 = 0.01 share of copies among the rows of a day from which it is told
-- threshold: min_count INT64 = 10 copies of a day from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
WITH hours AS (
  SELECT
    e.event_name,
    e.event_date,
    EXTRACT(HOUR FROM e.event_at) AS hour,
    SUM(COALESCE(e.copies, 1)) AS event_rows,
    SUM(COALESCE(e.copies, 1) - 1) AS copies
  FROM {{ relation('mc_events') }} AS e
  WHERE
    (@first_date IS NULL OR e.event_date >= @first_date)
    AND (@last_date IS NULL OR e.event_date <= @last_date)
  GROUP BY e.event_name, e.event_date, EXTRACT(HOUR FROM e.event_at)
),

ranked AS (
  SELECT h.*, ROW_NUMBER() OVER (PARTITION BY h.event_name, h.event_date ORDER BY h.copies DESC, h.hour) AS place
  FROM hours AS h
)

SELECT
  r.event_name AS subject,
  r.event_date,
  CAST(SUM(r.copies) AS INT64) AS count,
  CAST(SUM(r.event_rows) AS INT64) AS total,
  MAX(IF(r.place = 1, CONCAT(IF(r.hour < 10, '0', ''), CAST(r.hour AS STRING), ':00 UTC'), NULL)) AS detail
FROM ranked AS r
GROUP BY r.event_name, r.event_date
HAVING SUM(r.copies) >= @min_count AND SUM(r.copies) >= @min_share * SUM(r.event_rows)
ORDER BY subject, r.event_date
