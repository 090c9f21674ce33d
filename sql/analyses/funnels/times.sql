-- Time between two steps of a funnel, over the units whose best attempt took both: from where it first took the earlier
-- one to where it first took the later, so that the parts of a way add up. A row for each bucket of times that is not empty (bucket n: at least n of the edges); the
-- figures over all buckets stand in each of its rows.
-- grain: from_step, to_step, bucket
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, first_day DATE, last_day DATE, first_read DATE, last_read DATE,
--   from_steps ARRAY<INT64>, to_steps ARRAY<INT64>, edges_us ARRAY<INT64>, pair_entries ARRAY<STRING>,
--   pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>, pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>,
--   reach_us INT64, leaf_measures ARRAY<STRING>, leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>,
--   leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>, leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>,
--   leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>, trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>,
--   trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>, visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   as_of TIMESTAMP
-- structure: funnel, edges
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{% include 'analyses/funnels/_ways.sql' %}
,

pairs AS (
  SELECT from_step, @to_steps[OFFSET(place)] AS to_step
  FROM UNNEST(@from_steps) AS from_step WITH OFFSET AS place
),

{% from 'analyses/funnels/_orders.sql' import order_of with context %}
first_ways AS (
  SELECT r.from_step, r.to_step, DIV((r.to_order), 1000) - DIV((r.from_order), 1000) AS elapsed_us
  FROM (
    SELECT
      p.from_step,
      p.to_step,
      {{ order_of('p.from_step') }} AS from_order,
      {{ order_of('p.to_step') }} AS to_order
    FROM ways AS r
    CROSS JOIN pairs AS p
  ) AS r
  WHERE r.from_order IS NOT NULL AND r.to_order IS NOT NULL
),

placed AS (
  SELECT
    f.from_step,
    f.to_step,
    {% for edge in range(edges) %}
    IF(f.elapsed_us >= @edges_us[OFFSET({{ edge }})], 1, 0) {% if not loop.last %}+{% endif %}

    {% endfor %}
    AS bucket,
    COUNT(*) OVER (PARTITION BY f.from_step, f.to_step) AS all_units,
    SUM(f.elapsed_us) OVER (PARTITION BY f.from_step, f.to_step) AS sum_us,
    PERCENTILE_CONT(f.elapsed_us, 0.5) OVER (PARTITION BY f.from_step, f.to_step) AS median_us,
    PERCENTILE_CONT(f.elapsed_us, 0.75) OVER (PARTITION BY f.from_step, f.to_step) AS p75_us,
    PERCENTILE_CONT(f.elapsed_us, 0.9) OVER (PARTITION BY f.from_step, f.to_step) AS p90_us
  FROM first_ways AS f
)

SELECT
  p.from_step,
  p.to_step,
  p.bucket,
  COUNT(*) AS units,
  MAX(p.all_units) AS all_units,
  MAX(p.sum_us) / MAX(p.all_units) / 1e6 AS seconds_mean,
  MAX(p.median_us) / 1e6 AS seconds_median,
  MAX(p.p75_us) / 1e6 AS seconds_p75,
  MAX(p.p90_us) / 1e6 AS seconds_p90
FROM placed AS p
GROUP BY p.from_step, p.to_step, p.bucket
ORDER BY p.from_step, p.to_step, p.bucket
