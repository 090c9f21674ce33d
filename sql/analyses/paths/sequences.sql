-- The most frequent sequences of nodes next to a point, and how many of their journeys reach a goal: with the point
-- or after it, within one window. A sequence is text: a > b > c; with … > before it or > … behind it, journeys go on there.
-- grain: sequence
-- params: micro_conversions ARRAY<STRING>, without ARRAY<STRING>, point STRING, window_us INT64, furthest INT64, goal STRING,
--   most INT64
-- structure: count, nodes, point, leads, keep_repeats
{% from 'analyses/paths/_journeys.sql' import distance, journeys, unit with context %}
WITH {{ journeys() }},

converting_units AS (
  SELECT p.unit_key, TRUE AS is_converted
  FROM points AS p
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON {{ unit('m' | identifier) }} = p.unit_key
  WHERE
    m.micro_conversion = @goal
    AND m.event_order >= p.event_order
    AND UNIX_MICROS(m.event_at) - p.event_us <= @window_us
  GROUP BY p.unit_key
),

sequences AS (
  SELECT
    v.unit_key,
    {% if leads == 'to' %}
    CONCAT(IF(MAX(v.steps) - 1 > @furthest, '… > ', ''), STRING_AGG(n.name, ' > ' ORDER BY v.step)) AS sequence,
    {% else %}
    CONCAT(STRING_AGG(n.name, ' > ' ORDER BY v.step), IF(MAX(v.steps) - 1 > @furthest, ' > …', '')) AS sequence,
    {% endif %}
    MAX(v.event_us) - MIN(v.event_us) AS elapsed_us
  FROM visits AS v
  INNER JOIN names AS n ON n.node = v.node
  WHERE {{ distance('v' | identifier) }} <= @furthest
  GROUP BY v.unit_key
),

sequence_times AS (
  SELECT
    s.sequence,
    s.elapsed_us,
    c.is_converted,
    PERCENTILE_CONT(s.elapsed_us, 0.5) OVER (PARTITION BY s.sequence) AS median_us
  FROM sequences AS s
  LEFT JOIN converting_units AS c ON c.unit_key = s.unit_key
)

SELECT
  t.sequence,
  COUNT(*) AS journeys,
  COUNTIF(t.is_converted) AS conversions,
  MAX(t.median_us) / 1e6 AS seconds_median,
  SUM(COUNT(*)) OVER () AS all_journeys,
  SUM(COUNTIF(t.is_converted)) OVER () AS all_conversions
FROM sequence_times AS t
GROUP BY t.sequence
ORDER BY journeys DESC, t.sequence
LIMIT @most
