{# Which touches lie in the lookback windows of a conversion; import `with context`. It reads `windows` (ascending), and
   what `_touches.sql` and `_conversions.sql` read, whose CTEs it needs.

   Touches are paired with conversions, but for actors with more than `@most_pairs` possible pairs: a robot would pair
   millions. They are left out: their conversions have no touch. #}
{% from 'analyses/attribution/_conversions.sql' import after, before with context %}
{% set longest_us = parameter('window_us_', windows) %}

{# CTEs `left_out`, the actors beyond the limit, and `pairs` of all others: the conversion, the touch and its age. #}
{% macro pairs() -%}
sizes AS (
  SELECT t.actor_key, COUNT(*) AS touches
  FROM touches AS t
  GROUP BY t.actor_key
),

left_out AS (
  SELECT a.actor_key
  FROM converting_actors AS a
  INNER JOIN sizes AS s ON s.actor_key = a.actor_key
  WHERE a.conversions * s.touches > @most_pairs
),

pairs AS (
  SELECT
    c.client_key,
    c.event_order,
    t.*,
    c.conversion_us - t.touch_us AS age_us
  FROM conversions AS c
  LEFT JOIN left_out AS l ON l.actor_key = c.actor_key
  INNER JOIN touches AS t ON t.actor_key = c.actor_key
  WHERE
    l.actor_key IS NULL
    AND {{ before('t', 'c') }}
    AND c.conversion_us - t.touch_us <= {{ longest_us }}
    {% if resets %}
    AND {{ after('t', 'c', 'previous_us', 'previous_order', 'previous_client') }}
    {% endif %}
)
{%- endmacro %}
