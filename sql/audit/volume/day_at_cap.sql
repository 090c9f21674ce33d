-- Days whose table holds as many rows as the standard export delivers at most, so that events beyond are missing. A property with days far above has no such limit.
-- severity: warning
-- finding: Property {subject} reached the limit of the daily export {dates}: {count} rows. Events beyond it are missing.
-- remedy: Leave events that nobody uses out of the export (Admin > Product links > BigQuery links > Exclude events), or use streaming or a 360 property. Take totals of these days for lower bounds.
-- threshold: cap_rows INT64 = 1000000 rows that the daily export delivers at most
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
WITH largest AS (
  SELECT s.property, MAX(s.source_rows) AS most_rows
  FROM {{ relation('mc_shards') }} AS s
  GROUP BY s.property
)

SELECT s.property AS subject, s.event_date, s.source_rows AS count, s.source_rows AS total, CAST(NULL AS STRING) AS detail
FROM {{ relation('mc_shards') }} AS s
INNER JOIN largest AS g ON g.property = s.property
WHERE
  s.source_rows BETWEEN CAST(@cap_rows * 0.99 AS INT64) AND @cap_rows
  AND g.most_rows <= @cap_rows * 1.01
  AND s.kind = 'daily'
  AND (@first_date IS NULL OR s.event_date >= @first_date)
  AND (@last_date IS NULL OR s.event_date <= @last_date)
ORDER BY subject, s.event_date
