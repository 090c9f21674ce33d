-- The most frequent sequences of nodes next to a point, and how many of their journeys reach a goal: with the point
-- or after it, within one window. A sequence is text: a > b > c.
-- grain: sequence
-- params: micro_conversions ARRAY<STRING>, without ARRAY<STRING>, point STRING, window_us INT64, furthest INT64, goal STRING,
--   most INT64
-- structure: by, nodes, point, leads, collapse
{% from 'analyses/paths/_journeys.sql' import distance, journeys, unit with context %}
WITH {{ journeys() }},

converted AS (
  SELECT p.unit_key, TRUE AS is_converted
  FROM points AS p
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON {{ unit('m' | identifier) }} = p.unit_key
  WHERE
    m.micro_conversion = @goal
    AND m.event_order >= p.event_order
    AND UNIX_MICROS(m.event_at) - p.event_us <= @window_us
  GROUP BY p.unit_key
),

walked AS (
  SELECT
    v.unit_key,
    STRING_AGG(n.name, ' > ' ORDER BY v.step) AS sequence,
    MAX(v.event_us) - MIN(v.event_us) AS elapsed_us
  FROM visits AS v
  INNER JOIN names AS n ON n.node = v.node
  WHERE {{ distance('v' | identifier) }} <= @furthest
  GROUP BY v.unit_key
),

placed AS (
  SELECT
    w.sequence,
    w.elapsed_us,
    c.is_converted,
    PERCENTILE_CONT(w.elapsed_us, 0.5) OVER (PARTITION BY w.sequence) AS median_us
  FROM walked AS w
  LEFT JOIN converted AS c ON c.unit_key = w.unit_key
)

SELECT
  p.sequence,
  COUNT(*) AS journeys,
  COUNTIF(p.is_converted) AS conversions,
  MAX(p.median_us) / 1e6 AS seconds_median,
  SUM(COUNT(*)) OVER () AS all_journeys,
  SUM(COUNTIF(p.is_converted)) OVER () AS all_conversions
FROM placed AS p
GROUP BY p.sequence
ORDER BY journeys DESC, p.sequence
LIMIT @most
