-- What follows what in journeys to or from a point, over their whole length: hops from node to node, from (start) to a first
-- node and from a last one to (exit). All nodes beyond the most frequent are (other).
-- grain: from_node, to_node
-- params: micro_conversions ARRAY<STRING>, without ARRAY<STRING>, milestones_before ARRAY<INT64>,
--   milestones_done ARRAY<INT64>, point STRING, window_us INT64, most INT64
-- structure: count, nodes, point, leads, keep_repeats
{% from 'analyses/paths/_journeys.sql' import journeys with context %}
{% set has_milestones = nodes == 'micro_conversion' %}
{% set along %}OVER (PARTITION BY v.unit_key ORDER BY v.step){% endset %}
WITH {{ journeys() }},

node_counts AS (
  SELECT v.node, n.name, COUNT(*) AS visits
  FROM visits AS v
  INNER JOIN names AS n ON n.node = v.node
  GROUP BY v.node, n.name
),

-- The state is the node; 0 stands for all others.
states AS (
  SELECT c.node, IF(ROW_NUMBER() OVER (ORDER BY c.visits DESC, c.name) <= @most, c.node, 0) AS state
  FROM node_counts AS c
),

{% if has_milestones %}
ladder AS (
  SELECT place + 1 AS node, milestones_before, @milestones_done[OFFSET(place)] AS milestones_done
  FROM UNNEST(@milestones_before) AS milestones_before WITH OFFSET AS place
),

{% endif %}
-- A hop skips when a milestone that the taxonomy places before its node lies beyond all that the journey has been at.
arrivals AS (
  SELECT
    LAG(s.state) {{ along }} AS from_state,
    s.state AS to_state,
    v.event_us - LAG(v.event_us) {{ along }} AS elapsed_us,
    v.node != LAG(v.node) {{ along }}
      AND ROW_NUMBER() OVER (PARTITION BY v.unit_key, v.node ORDER BY v.step) > 1 AS is_return,
    {% if has_milestones %}
    l.milestones_before > MAX(COALESCE(l.milestones_done, 0)) OVER (
      PARTITION BY v.unit_key ORDER BY v.step ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS is_skip,
    {% else %}
    FALSE AS is_skip,
    {% endif %}
    v.step = v.steps AS is_last
  FROM visits AS v
  INNER JOIN states AS s ON s.node = v.node
  {% if has_milestones %}
  LEFT JOIN ladder AS l ON l.node = v.node
  {% endif %}
),

-- A journey comes from no state and goes to none.
hops AS (
  SELECT a.from_state, a.to_state, a.elapsed_us, a.is_return, a.is_skip
  FROM arrivals AS a
  UNION ALL
  SELECT a.to_state, NULL, NULL, FALSE, FALSE
  FROM arrivals AS a
  WHERE a.is_last
),

hop_times AS (
  SELECT h.*, PERCENTILE_CONT(h.elapsed_us, 0.5) OVER (PARTITION BY h.from_state, h.to_state) AS median_us
  FROM hops AS h
),

transitions AS (
  SELECT
    t.from_state,
    t.to_state,
    COUNT(*) AS transitions,
    COUNTIF(t.is_return) AS returns,
    COUNTIF(t.is_skip) AS skips,
    MAX(t.median_us) / 1e6 AS seconds_median
  FROM hop_times AS t
  GROUP BY t.from_state, t.to_state
)

SELECT
  COALESCE(f.name, IF(t.from_state IS NULL, '(start)', '(other)')) AS from_node,
  COALESCE(o.name, IF(t.to_state IS NULL, '(exit)', '(other)')) AS to_node,
  t.transitions,
  t.returns,
  t.skips,
  t.seconds_median
FROM transitions AS t
LEFT JOIN names AS f ON f.node = t.from_state
LEFT JOIN names AS o ON o.node = t.to_state
ORDER BY t.transitions DESC, from_node, to_node
