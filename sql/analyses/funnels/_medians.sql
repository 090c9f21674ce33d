{# CTE `medians`: by step, how many are in `first_reached`, and the median of their `elapsed_us` in seconds. #}
timed AS (
  SELECT f.step_index, PERCENTILE_CONT(f.elapsed_us, 0.5) OVER (PARTITION BY f.step_index) AS median_us
  FROM first_reached AS f
),

medians AS (
  SELECT t.step_index, COUNT(*) AS units, MAX(t.median_us) / 1e6 AS seconds_median
  FROM timed AS t
  GROUP BY t.step_index
)
