-- Steps of the journey that the same sessions do, but that are recorded far more often than the step beside them: one act yields several events. It also tells days from which that ratio changed.
-- severity: warning
-- finding: {subject} was recorded {detail} {dates}.
-- remedy: Look for a tag that fires more than once for one act, with different parameters each time, so that no rule of duplicates sees it. Until it is mended, collapse = "1s" in the entry of the taxonomy makes them count once here; in GA4 they count each time.
-- threshold: repeats FLOAT64 = 2 recorded for each of the step beside it, per session of both, from which it is told
-- threshold: shift FLOAT64 = 1.4 factor between two levels of the ratio from which a change is told
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all days
-- threshold: fewest_expected FLOAT64 = 10 rows of an ordinary day
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, entry_kinds ARRAY<STRING>
-- structure: none
-- judge: neighbour_ratio
{% import '_standing.sql' as standing with context %}
{% import 'audit/volume/_series.sql' as volume with context %}
WITH standing AS ({{ standing.days() }}),

days AS ({{ volume.days('standing') }}),

entries AS (
  SELECT entry, place
  FROM UNNEST(@entry_ids) AS entry WITH OFFSET AS place
),

kinds AS (
  SELECT kind, place
  FROM UNNEST(@entry_kinds) AS kind WITH OFFSET AS place
),

steps AS (
  SELECT n.entry, LEAD(n.entry) OVER (ORDER BY n.place) AS next_entry
  FROM entries AS n
  INNER JOIN kinds AS k ON k.place = n.place
  WHERE k.kind IN ('milestone', 'macro')
),

-- Rows, not occurrences: what "collapse" takes for one act was recorded several times all the same.
seen AS (
  SELECT
    m.property,
    m.event_date,
    m.micro_conversion,
    CAST(SUM(COALESCE(m.copies, 1)) AS INT64) AS event_rows,
    COUNT(DISTINCT m.session_key) AS sessions
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entry_ids)
  GROUP BY m.property, m.event_date, m.micro_conversion
),

pairs AS (
  SELECT
    a.property,
    a.event_date,
    p.entry,
    p.next_entry,
    a.event_rows AS count,
    b.event_rows AS total,
    a.sessions AS count_sessions,
    b.sessions AS total_sessions
  FROM steps AS p
  INNER JOIN seen AS a ON a.micro_conversion = p.entry
  INNER JOIN seen AS b
    ON b.micro_conversion = p.next_entry AND b.property = a.property AND b.event_date = a.event_date
)

SELECT
  d.property,
  p.entry AS subject,
  d.event_date,
  p.count,
  p.total,
  p.next_entry AS neighbour,
  p.count_sessions,
  p.total_sessions,
  d.is_provisional,
  d.is_asked
FROM pairs AS p
INNER JOIN days AS d ON d.property = p.property AND d.event_date = p.event_date
ORDER BY d.property, p.entry, d.event_date
