-- How many actors of each variant take each step after the first exposure, in order; step 0 is the exposure.
-- grain: variant, step
-- params: event STRING, variants ARRAY<STRING>, first_date DATE, last_date DATE, end_at TIMESTAMP, steps ARRAY<STRING>,
--   within_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>
-- structure: source, variant_column, tests, length
{% from 'experiments/_exposed.sql' import exposures with context %}
WITH {{ exposures() }},

reached_0 AS (
  SELECT e.actor_key, e.variant, e.exposed_us, e.exposed_us * 1000 - 1 AS at_order
  FROM exposed AS e
),

{% for number in range(length) %}
{{ ('reached_' ~ (number + 1)) | identifier }} AS (
  SELECT r.actor_key, r.variant, r.exposed_us, MIN(m.event_order) AS at_order
  FROM {{ ('reached_' ~ number) | identifier }} AS r
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON m.actor_key = r.actor_key
  WHERE
    m.micro_conversion = @steps[OFFSET({{ number }})]
    AND m.event_order > r.at_order
    AND m.event_at <= @end_at
    AND (@within_us IS NULL OR UNIX_MICROS(m.event_at) <= r.exposed_us + @within_us)
  GROUP BY r.actor_key, r.variant, r.exposed_us
),

{% endfor %}
reached AS (
  {% for number in range(length + 1) %}
  SELECT {{ number }} AS step, r.variant, COUNT(*) AS actors
  FROM {{ ('reached_' ~ number) | identifier }} AS r
  GROUP BY r.variant
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
)

SELECT r.variant, r.step, r.actors
FROM reached AS r
ORDER BY r.variant, r.step
