{# The first session of each actor (with what `by` splits it by); when each first came to each level, and when first to any beyond it:
   common table expressions up to `onward`. #}
first_sessions AS (
  SELECT
    s.actor_key,
    s.started_at,
    s.session_date,
    COALESCE(s.session_number, 1) > 1 AS began_before,
    {% if by == 'channel_group' %}
    {{ channel('s' | identifier) }} AS context
    {% elif by == 'device_category' %}
    COALESCE(s.device_category, '(not set)') AS context
    {% elif by == 'new_or_returning' %}
    IF(COALESCE(s.session_number, 1) > 1, 'returning', 'new') AS context
    {% else %}
    '' AS context
    {% endif %}
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at <= @end_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
),

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
