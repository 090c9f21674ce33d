-- None of the taxonomy's macro-conversions was ever seen: nothing can be told of what leads to one.
-- severity: error
-- finding: None of the taxonomy's macro-conversions was seen in {total} events: {subject}.
-- remedy: Send one of these events, or say which event is the conversion here: an entry with kind = "macro" in the
--   taxonomy.
-- threshold: min_events INT64 = 1000 events below which nothing is told
-- grain: subject
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, entry_kinds ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH goals AS (
  SELECT entry_id, place
  FROM UNNEST(@entry_ids) AS entry_id WITH OFFSET AS place
  WHERE @entry_kinds[OFFSET(place)] = 'macro'
),

seen AS (
  SELECT COUNTIF(m.kind = 'macro') AS macro_conversions
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE {{ in_period('m.event_date' | identifier) }}
),

staged AS (
  SELECT SUM(h.events) AS events
  FROM {{ relation('mc_shards') }} AS h
  WHERE {{ in_period('h.event_date' | identifier) }}
)

SELECT
  STRING_AGG(g.entry_id, ', ' ORDER BY g.place) AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(MAX(t.events) AS INT64) AS count,
  CAST(MAX(t.events) AS INT64) AS total,
  CAST(NULL AS STRING) AS detail
FROM goals AS g
CROSS JOIN seen AS s
CROSS JOIN staged AS t
WHERE s.macro_conversions = 0 AND t.events >= @min_events
HAVING COUNT(*) > 0
