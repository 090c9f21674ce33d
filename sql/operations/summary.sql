-- One row: what the staged tables hold of some days, or of all. Actors are those of sessions.
-- grain: none
-- params: first_date DATE, last_date DATE
-- structure: none
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

shards AS (
  SELECT
    MIN(h.event_date) AS first_date,
    MAX(h.event_date) AS last_date,
    COUNT(DISTINCT h.event_date) AS days,
    COUNT(DISTINCT IF(t.is_provisional, h.event_date, NULL)) AS provisional_days,
    CAST(SUM(h.events) AS INT64) AS events,
    CAST(SUM(h.consentless_events) AS INT64) AS consentless_events,
    CAST(SUM(h.duplicates_removed) AS INT64) AS duplicates_removed
  FROM {{ relation('mc_shards') }} AS h
  INNER JOIN standing AS t ON t.property = h.property AND t.event_date = h.event_date
  WHERE
    (@first_date IS NULL OR h.event_date >= @first_date)
    AND (@last_date IS NULL OR h.event_date <= @last_date)
),

sessions AS (
  SELECT COUNT(*) AS sessions, COUNTIF(s.is_engaged) AS engaged_sessions, COUNT(DISTINCT s.actor_key) AS actors
  FROM {{ relation('mc_sessions') }} AS s
  WHERE
    (@first_date IS NULL OR s.session_date >= @first_date)
    AND (@last_date IS NULL OR s.session_date <= @last_date)
),

occurrences AS (
  SELECT COUNT(*) AS micro_conversions
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    (@first_date IS NULL OR m.event_date >= @first_date)
    AND (@last_date IS NULL OR m.event_date <= @last_date)
)

SELECT
  h.first_date,
  h.last_date,
  h.days,
  h.provisional_days,
  COALESCE(h.events, 0) AS events,
  COALESCE(h.consentless_events, 0) AS consentless_events,
  COALESCE(h.duplicates_removed, 0) AS duplicates_removed,
  s.sessions,
  s.engaged_sessions,
  s.actors,
  o.micro_conversions
FROM shards AS h
CROSS JOIN sessions AS s
CROSS JOIN occurrences AS o
