{# The exact median, in seconds, of `elapsed_us` in `first_reached`, and how many there are, by step; half a pair's sum
   where they are even. As common table expressions up to `medians`. #}
placed AS (
  SELECT
    f.step_index,
    f.elapsed_us,
    ROW_NUMBER() OVER (PARTITION BY f.step_index ORDER BY f.elapsed_us) AS place,
    COUNT(*) OVER (PARTITION BY f.step_index) AS places
  FROM first_reached AS f
),

medians AS (
  SELECT
    p.step_index,
    MAX(p.places) AS units,
    AVG(IF(p.place IN (DIV((p.places + 1), 2), DIV((p.places + 2), 2)), p.elapsed_us, NULL)) / 1e6 AS seconds_median
  FROM placed AS p
  GROUP BY p.step_index
)
