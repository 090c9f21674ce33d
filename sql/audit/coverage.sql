-- Every staged day of a period for every micro-conversion asked for: what happened, and what its traffic lets one expect.
-- Expected is the median, over the other days, of the micro-conversion's occurrences per event, times the day's events;
-- a median is not moved by the very outages it is to find. Events without consent yield no micro-conversions: left out.
-- grain: event_date, micro_conversion
-- params: micro_conversions ARRAY<STRING>, first_date DATE, last_date DATE
-- structure: none
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

days AS (
  SELECT
    s.event_date,
    CAST(SUM(s.events - s.consentless_events) AS INT64) AS events,
    LOGICAL_OR(t.is_provisional) AS is_provisional
  FROM {{ relation('mc_shards') }} AS s
  INNER JOIN standing AS t ON t.property = s.property AND t.event_date = s.event_date
  GROUP BY s.event_date
),

entries AS (
  SELECT micro_conversion, place
  FROM UNNEST(@micro_conversions) AS micro_conversion WITH OFFSET AS place
),

seen AS (
  SELECT
    m.event_date,
    m.micro_conversion,
    COUNT(*) AS occurrences,
    -- Days whose shard is gone stay as an older version staged them, without copies.
    CAST(SUM(COALESCE(m.copies, 1)) AS INT64) AS event_rows,
    COUNT(DISTINCT m.actor_key) AS actors
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@micro_conversions)
  GROUP BY m.event_date, m.micro_conversion
),

grid AS (
  SELECT
    d.event_date,
    e.micro_conversion,
    e.place,
    d.events,
    d.is_provisional,
    COALESCE(s.occurrences, 0) AS occurrences,
    COALESCE(s.event_rows, 0) AS event_rows,
    COALESCE(s.actors, 0) AS actors,
    COALESCE(s.occurrences, 0) / NULLIF(d.events, 0) AS share
  FROM days AS d
  CROSS JOIN entries AS e
  LEFT JOIN seen AS s ON s.event_date = d.event_date AND s.micro_conversion = e.micro_conversion
),

-- Days without events have no share and come last.
ranked AS (
  SELECT
    g.*,
    ROW_NUMBER() OVER (PARTITION BY g.micro_conversion ORDER BY g.share IS NULL, g.share, g.event_date) AS place_of_day,
    COUNT(g.share) OVER (PARTITION BY g.micro_conversion)
      - IF(g.share IS NULL, 0, 1) AS other_days
  FROM grid AS g
),

-- The one or two middle places among the other days; a day's own place is skipped in counting.
middles AS (
  SELECT
    r.*,
    DIV((r.other_days + 1), 2) + IF(r.place_of_day <= DIV((r.other_days + 1), 2), 1, 0) AS lower_place,
    DIV((r.other_days + 2), 2) + IF(r.place_of_day <= DIV((r.other_days + 2), 2), 1, 0) AS upper_place
  FROM ranked AS r
)

SELECT
  m.event_date,
  m.micro_conversion,
  m.events,
  m.occurrences,
  m.event_rows,
  m.actors,
  m.is_provisional,
  COALESCE((lower_day.share + upper_day.share) / 2 * m.events, 0) AS expected
FROM middles AS m
LEFT JOIN ranked AS lower_day
  ON lower_day.micro_conversion = m.micro_conversion AND lower_day.place_of_day = m.lower_place
LEFT JOIN ranked AS upper_day
  ON upper_day.micro_conversion = m.micro_conversion AND upper_day.place_of_day = m.upper_place
WHERE
  (@first_date IS NULL OR m.event_date >= @first_date)
  AND (@last_date IS NULL OR m.event_date <= @last_date)
ORDER BY m.place, m.event_date
