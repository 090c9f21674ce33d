-- Sums of each metric by variant over the actors of an experiment, from which means, ratios and their variances are told: what
-- they did from the first exposure on (`top_after`, and `bottom_after` for what it is told per), the same in `before_us` before it,
-- squares, and products of each two. Values are in hundredths. Of conversions of one actor with one transaction id, the earliest
-- counts. Amounts of one actor above `cap`, that of the actor at the share `winsorised` of those who paid, count as the cap.
-- grain: metric, variant
-- params: event STRING, variants ARRAY<STRING>, first_date DATE, last_date DATE, end_at TIMESTAMP, metrics ARRAY<STRING>,
--   tops ARRAY<STRING>, bottoms ARRAY<STRING>, are_values ARRAY<BOOL>, are_shares ARRAY<BOOL>, winsorised ARRAY<FLOAT64>,
--   before_us INT64, within_us INT64, currency STRING, assumed_currency STRING, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>
-- structure: source, variant_column, tests
{% from 'experiments/_exposed.sql' import exposures with context %}
{% from 'analyses/_value.sql' import copy_number, value_of with context %}
WITH {{ exposures() }},

asked AS (
  SELECT
    metric,
    @tops[OFFSET(place)] AS top_entry,
    @bottoms[OFFSET(place)] AS bottom_entry,
    @are_values[OFFSET(place)] AS is_value,
    @are_shares[OFFSET(place)] AS is_share,
    @winsorised[OFFSET(place)] AS winsorised
  FROM UNNEST(@metrics) AS metric WITH OFFSET AS place
),

entries AS (
  SELECT DISTINCT u.metric, u.entry
  FROM (
    SELECT a.metric, a.top_entry AS entry
    FROM asked AS a
    UNION ALL
    SELECT a.metric, a.bottom_entry AS entry
    FROM asked AS a
  ) AS u
),

occurrences AS (
  SELECT
    m.actor_key,
    m.micro_conversion,
    UNIX_MICROS(m.event_at) AS at_us,
    CAST(ROUND(COALESCE({{ value_of('m' | identifier) }}, 0) * 100) AS INT64) AS value_cents,
    {{ copy_number('m' | identifier, of_entries=true) }} AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    (m.micro_conversion IN UNNEST(@tops) OR m.micro_conversion IN UNNEST(@bottoms))
    AND m.actor_key IS NOT NULL
    AND m.event_at <= @end_at
),

placed AS (
  SELECT
    e.actor_key, e.variant, o.micro_conversion, o.value_cents, o.at_us >= e.exposed_us AS is_after
  FROM exposed AS e
  INNER JOIN occurrences AS o ON o.actor_key = e.actor_key
  WHERE
    o.copy_number = 1
    AND o.at_us >= e.exposed_us - @before_us
    AND (@within_us IS NULL OR o.at_us <= e.exposed_us + @within_us)
),

counted AS (
  SELECT
    a.metric,
    p.actor_key,
    p.variant,
    SUM(IF(p.is_after AND p.micro_conversion = a.top_entry, IF(a.is_value, p.value_cents, 1), 0)) AS top_after,
    COUNTIF(p.is_after AND p.micro_conversion = a.bottom_entry) AS bottom_after,
    SUM(IF(NOT p.is_after AND p.micro_conversion = a.top_entry, IF(a.is_value, p.value_cents, 1), 0)) AS top_before,
    COUNTIF(NOT p.is_after AND p.micro_conversion = a.bottom_entry) AS bottom_before
  FROM entries AS t
  INNER JOIN asked AS a ON a.metric = t.metric
  INNER JOIN placed AS p ON p.micro_conversion = t.entry
  GROUP BY a.metric, p.actor_key, p.variant
),

payers AS (
  SELECT
    c.metric,
    c.top_after,
    ROW_NUMBER() OVER (PARTITION BY c.metric ORDER BY c.top_after, c.actor_key) AS place,
    COUNT(*) OVER (PARTITION BY c.metric) AS payers
  FROM counted AS c
  WHERE c.top_after > 0
),

caps AS (
  SELECT p.metric, MIN(p.top_after) AS cap
  FROM payers AS p
  INNER JOIN asked AS a ON a.metric = p.metric
  WHERE a.winsorised < 1 AND p.place >= a.winsorised * p.payers
  GROUP BY p.metric
),

per_actor AS (
  SELECT
    c.metric,
    c.variant,
    CAST(IF(a.is_share, LEAST(c.top_after, 1), LEAST(c.top_after, COALESCE(k.cap, c.top_after))) AS FLOAT64) AS top_after,
    CAST(c.bottom_after AS FLOAT64) AS bottom_after,
    CAST(IF(a.is_share, LEAST(c.top_before, 1), LEAST(c.top_before, COALESCE(k.cap, c.top_before))) AS FLOAT64) AS top_before,
    CAST(c.bottom_before AS FLOAT64) AS bottom_before
  FROM counted AS c
  INNER JOIN asked AS a ON a.metric = c.metric
  LEFT JOIN caps AS k ON k.metric = c.metric
),

sums AS (
  SELECT
    p.metric,
    p.variant,
    COUNTIF(p.top_after != 0) AS doers,
    SUM(p.top_after) AS top_after,
    SUM(p.bottom_after) AS bottom_after,
    SUM(p.top_before) AS top_before,
    SUM(p.bottom_before) AS bottom_before,
    SUM(p.top_after * p.top_after) AS top_after_squares,
    SUM(p.bottom_after * p.bottom_after) AS bottom_after_squares,
    SUM(p.top_before * p.top_before) AS top_before_squares,
    SUM(p.bottom_before * p.bottom_before) AS bottom_before_squares,
    SUM(p.top_after * p.bottom_after) AS top_after_bottom_after,
    SUM(p.top_after * p.top_before) AS top_after_top_before,
    SUM(p.top_after * p.bottom_before) AS top_after_bottom_before,
    SUM(p.bottom_after * p.top_before) AS bottom_after_top_before,
    SUM(p.bottom_after * p.bottom_before) AS bottom_after_bottom_before,
    SUM(p.top_before * p.bottom_before) AS top_before_bottom_before
  FROM per_actor AS p
  GROUP BY p.metric, p.variant
),

sizes AS (
  SELECT e.variant, COUNT(*) AS actors
  FROM exposed AS e
  GROUP BY e.variant
)

SELECT
  a.metric,
  z.variant,
  z.actors,
  COALESCE(s.doers, 0) AS doers,
  k.cap,
  {% for column in [
    'top_after', 'bottom_after', 'top_before', 'bottom_before',
    'top_after_squares', 'bottom_after_squares', 'top_before_squares', 'bottom_before_squares',
    'top_after_bottom_after', 'top_after_top_before', 'top_after_bottom_before',
    'bottom_after_top_before', 'bottom_after_bottom_before', 'top_before_bottom_before',
  ] %}
  COALESCE({{ ('s.' ~ column) | identifier }}, 0) AS {{ column | identifier }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM asked AS a
CROSS JOIN sizes AS z
LEFT JOIN sums AS s ON s.metric = a.metric AND s.variant = z.variant
LEFT JOIN caps AS k ON k.metric = a.metric
ORDER BY a.metric, z.variant
