-- Entries that were seen on most days and then no more, while the site had traffic enough to expect them. `count` is
-- what was to be expected of each day since: the entry's share of all events in the four weeks before, times the day's
-- events.
-- severity: warning
-- finding: Seen before, and not once {dates}: {subject}. About {total} were to be expected.
-- remedy: Find out what changed on the site or in the tag manager at that time, and send the event again. If it was
--   taken out on purpose, deprecate the entry (deprecated_in).
-- threshold: min_days INT64 = 8 days without it from which it is told; shorter gaps are for the checks of volume
-- threshold: min_expected FLOAT64 = 30 occurrences to be expected since, below which nothing is told
-- threshold: min_history INT64 = 7 days with it before, below which nothing is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH staged_days AS (
  SELECT h.event_date, SUM(h.events - h.consentless_events) AS events
  FROM {{ relation('mc_shards') }} AS h
  WHERE @last_date IS NULL OR h.event_date <= @last_date
  GROUP BY h.event_date
),

seen AS (
  SELECT m.micro_conversion, m.event_date, COUNT(*) AS occurrences
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entry_ids) AND (@last_date IS NULL OR m.event_date <= @last_date)
  GROUP BY m.micro_conversion, m.event_date
),

spans AS (
  SELECT s.micro_conversion, MIN(s.event_date) AS first_seen, MAX(s.event_date) AS last_seen
  FROM seen AS s
  GROUP BY s.micro_conversion
),

-- The four weeks up to the last day on which it was seen.
histories AS (
  SELECT
    p.micro_conversion,
    p.last_seen,
    SUM(COALESCE(s.occurrences, 0)) / NULLIF(SUM(d.events), 0) AS usual_share,
    COUNT(s.occurrences) AS days_with,
    COUNT(*) AS days
  FROM spans AS p
  CROSS JOIN staged_days AS d
  LEFT JOIN seen AS s ON s.micro_conversion = p.micro_conversion AND s.event_date = d.event_date
  WHERE
    d.event_date BETWEEN p.first_seen AND p.last_seen
    AND d.event_date > DATE_ADD(p.last_seen, INTERVAL -28 DAY)
  GROUP BY p.micro_conversion, p.last_seen
),

days_without AS (
  SELECT
    h.micro_conversion,
    h.last_seen,
    d.event_date,
    h.usual_share * d.events AS expected,
    SUM(h.usual_share * d.events) OVER (PARTITION BY h.micro_conversion) AS expected_since,
    COUNT(*) OVER (PARTITION BY h.micro_conversion) AS days_since
  FROM histories AS h
  CROSS JOIN staged_days AS d
  WHERE
    d.event_date > h.last_seen
    AND h.days_with >= @min_history
    AND h.days_with * 10 >= h.days * 8
)

SELECT
  w.micro_conversion AS subject,
  w.event_date,
  CAST(ROUND(w.expected) AS INT64) AS count,
  CAST(ROUND(w.expected) AS INT64) AS total,
  CAST(w.last_seen AS STRING) AS detail
FROM days_without AS w
WHERE
  w.days_since >= @min_days
  AND w.expected_since >= @min_expected
  AND {{ in_period('w.event_date' | identifier) }}
ORDER BY subject, w.event_date
