-- Where people stand when they waver: occurrences of hesitation by the mindset of what their actor last did before, but for
-- hesitation. A mindset is its level, 0 to 3; NULL where the actor had done nothing before. Of what one event counts as,
-- hesitation comes last, and the highest mindset counts.
-- grain: micro_conversion, mindset_level
-- params: entries ARRAY<STRING>, levels ARRAY<INT64>, hesitations ARRAY<STRING>, first_date DATE, last_date DATE
-- structure: none
WITH standing AS (
  SELECT entry, @levels[OFFSET(place)] AS mindset_level
  FROM UNNEST(@entries) AS entry WITH OFFSET AS place
),

wavering AS (
  SELECT DISTINCT m.actor_key
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@hesitations) AND m.actor_key IS NOT NULL
),

courses AS (
  SELECT
    m.actor_key,
    m.event_date,
    m.event_order,
    m.client_key,
    m.micro_conversion,
    s.mindset_level,
    COALESCE(s.mindset_level, 4) AS tie
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN wavering AS w ON w.actor_key = m.actor_key
  LEFT JOIN standing AS s ON s.entry = m.micro_conversion
  WHERE s.entry IS NOT NULL OR m.micro_conversion IN UNNEST(@hesitations)
),

-- What follows one ordinary occurrence, up to the next, stands together.
stretches AS (
  SELECT
    c.*,
    COUNTIF(c.mindset_level IS NOT NULL) OVER (
      PARTITION BY c.actor_key ORDER BY c.event_order, c.client_key, c.tie, c.micro_conversion
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stretch
  FROM courses AS c
),

placed AS (
  SELECT t.*, MAX(t.mindset_level) OVER (PARTITION BY t.actor_key, t.stretch) AS level_before
  FROM stretches AS t
)

SELECT
  p.micro_conversion,
  p.level_before AS mindset_level,
  COUNT(*) AS occurrences,
  COUNT(DISTINCT p.actor_key) AS actors
FROM placed AS p
WHERE
  p.mindset_level IS NULL
  AND (@first_date IS NULL OR p.event_date >= @first_date)
  AND (@last_date IS NULL OR p.event_date <= @last_date)
GROUP BY p.micro_conversion, p.level_before
ORDER BY p.micro_conversion, mindset_level
