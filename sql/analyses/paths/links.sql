-- The flow of journeys next to a point: how many go from one node to the next, by the position of both. Positions count from
-- the point, which is 0. At each, the most frequent nodes keep their names and the rest is (other); a journey that began
-- or ended there is at (start) or (exit).
-- grain: from_position, from_node, to_node
-- params: micro_conversions ARRAY<STRING>, without ARRAY<STRING>, point STRING, window_us INT64, furthest INT64, most INT64
-- structure: count, nodes, point, leads, keep_repeats
{% from 'analyses/paths/_journeys.sql' import distance, journeys with context %}
WITH {{ journeys() }},

shown_visits AS (
  SELECT v.unit_key, v.node, v.step, {{ distance('v' | identifier) }} AS distance
  FROM visits AS v
  WHERE {{ distance('v' | identifier) }} <= @furthest
),

node_counts AS (
  SELECT s.distance, s.node, n.name, COUNT(*) AS journeys
  FROM shown_visits AS s
  INNER JOIN names AS n ON n.node = s.node
  GROUP BY s.distance, s.node, n.name
),

node_labels AS (
  SELECT
    c.distance,
    c.node,
    IF(
      ROW_NUMBER() OVER (PARTITION BY c.distance ORDER BY c.journeys DESC, c.name) <= @most, c.name, '(other)'
    ) AS name
  FROM node_counts AS c
),

-- Each node with its neighbour away from the point; beyond the last position nothing is known.
neighbours AS (
  SELECT
    s.distance,
    n.name AS node,
    {% if leads == 'to' %}
    COALESCE(LAG(n.name) OVER (PARTITION BY s.unit_key ORDER BY s.step), '(start)') AS further_node
    {% else %}
    COALESCE(LEAD(n.name) OVER (PARTITION BY s.unit_key ORDER BY s.step), '(exit)') AS further_node
    {% endif %}
  FROM shown_visits AS s
  INNER JOIN node_labels AS n ON n.distance = s.distance AND n.node = s.node
),

links AS (
  SELECT
    {% if leads == 'to' %}
    -n.distance - 1 AS from_position,
    n.further_node AS from_node,
    n.node AS to_node
    {% else %}
    n.distance AS from_position,
    n.node AS from_node,
    n.further_node AS to_node
    {% endif %}
  FROM neighbours AS n
  WHERE n.distance < @furthest
)

SELECT l.from_position, l.from_node, l.to_node, COUNT(*) AS journeys
FROM links AS l
GROUP BY l.from_position, l.from_node, l.to_node
ORDER BY l.from_position, journeys DESC, l.from_node, l.to_node
