-- How many actors each variant of an experiment has: in all, and by device, country and day of the first exposure. Actors who saw
-- two variants count in none (`two variants`), nor do those of a variant that is not of the experiment (`other variants`).
-- grain: dimension, level, variant
-- params: event STRING, variants ARRAY<STRING>, first_date DATE, last_date DATE, end_at TIMESTAMP, text_<n> STRING,
--   texts_<n> ARRAY<STRING>, number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>
-- structure: source, variant_column, tests
{% from 'experiments/_exposed.sql' import exposures with context %}
WITH {{ exposures() }},

levels AS (
  SELECT 'all' AS dimension, '' AS level, e.variant
  FROM exposed AS e
  UNION ALL
  SELECT 'device' AS dimension, COALESCE(e.device_category, '(not set)') AS level, e.variant
  FROM exposed AS e
  UNION ALL
  SELECT 'country' AS dimension, COALESCE(e.country, '(not set)') AS level, e.variant
  FROM exposed AS e
  UNION ALL
  SELECT 'day' AS dimension, CAST(e.exposed_date AS STRING) AS level, e.variant
  FROM exposed AS e
  UNION ALL
  SELECT 'two variants' AS dimension, '' AS level, '' AS variant
  FROM everybody AS a
  WHERE a.variants > 1
  UNION ALL
  SELECT 'other variants' AS dimension, '' AS level, a.variant
  FROM everybody AS a
  WHERE a.variants = 1 AND a.variant NOT IN UNNEST(@variants)
)

SELECT l.dimension, l.level, l.variant, COUNT(*) AS actors
FROM levels AS l
GROUP BY l.dimension, l.level, l.variant
ORDER BY l.dimension, l.level, l.variant
