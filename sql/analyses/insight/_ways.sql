{# When each actor first came to each level, and when first to any beyond it: common table expressions up to `onward`. #}
known_levels AS (
  SELECT entry, @levels[OFFSET(place)] AS level
  FROM UNNEST(@entries) AS entry WITH OFFSET AS place
),

firsts AS (
  SELECT m.actor_key, k.level, MIN(m.event_order) AS at_order, MIN(m.event_date) AS event_date
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN known_levels AS k ON k.entry = m.micro_conversion
  WHERE m.actor_key IS NOT NULL AND m.event_at <= @end_at
  GROUP BY m.actor_key, k.level
),

{# What is beyond a level comes first at that moment: one event that is both skips the lower one. #}
onward AS (
  SELECT
    f.actor_key,
    f.level,
    f.event_date,
    f.at_order,
    MIN(f.at_order) OVER (
      PARTITION BY f.actor_key ORDER BY f.level DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS beyond_order
  FROM firsts AS f
)
