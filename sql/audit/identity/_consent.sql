{# Days on which a share of events without consent is far from its usual one, and from its usual distance to
   `expected_share`. `days` has subject, event_date, without, events and expected_share; what is usual, and how far days
   stray from it, is the median of the subject's days. #}
{% macro strays(days) %}
shares AS (
  SELECT
    d.*,
    d.without / d.events AS share,
    d.without / d.events - d.expected_share AS distance
  FROM {{ days | identifier }} AS d
  WHERE d.events >= @min_events
),

usual AS (
  SELECT
    s.*,
    PERCENTILE_CONT(s.share, 0.5) OVER (PARTITION BY s.subject) AS usual_share,
    PERCENTILE_CONT(s.distance, 0.5) OVER (PARTITION BY s.subject) AS usual_distance,
    COUNT(*) OVER (PARTITION BY s.subject) AS history
  FROM shares AS s
),

spread AS (
  SELECT
    u.*,
    1.4826 * PERCENTILE_CONT(ABS(u.distance - u.usual_distance), 0.5) OVER (PARTITION BY u.subject) AS noise
  FROM usual AS u
),

strays AS (
  SELECT s.*
  FROM spread AS s
  WHERE
    s.history >= @min_days
    AND ABS(s.share - s.usual_share) >= @min_change
    AND ABS(s.distance - s.usual_distance) >= @min_change
    -- How far days usually stray; at least what chance does to a day of this size. Visitors decide, not events, and
    -- each sends several: ten events say as much as one.
    AND ABS(s.distance - s.usual_distance) >= 4.5 * GREATEST(
      s.noise, SQRT(10 * GREATEST(s.usual_share * (1 - s.usual_share), 0.01) / s.events)
    )
)
{%- endmacro %}
