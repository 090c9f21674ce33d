-- Ordered funnel, any start: how many actors or sessions reach each step, and the median time since the first step.
-- Of the starts from which a step can be reached within the window, the latest counts: one running maximum per step
-- carries it along, so that the cost is linear in the rows that match a step.
-- grain: step_index
-- params: step_<n> STRING, window_us INT64
-- structure: steps, unit_column
WITH steps AS (
  {% for n in range(1, steps + 1) %}
  SELECT {{ n }} AS step_index, {{ parameter('step_', n) }} AS micro_conversion
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

reached_1 AS (
  SELECT
    m.{{ unit_column | identifier }} AS unit_key,
    m.client_key,
    m.event_order,
    s.step_index,
    UNIX_MICROS(m.event_at) AS event_us,
    IF(s.step_index = 1, UNIX_MICROS(m.event_at), NULL) AS start_us
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN steps AS s ON s.micro_conversion = m.micro_conversion
  WHERE m.{{ unit_column | identifier }} IS NOT NULL
),

{# Strictly earlier rows of the unit. The steps of one event come in falling order, so that it never serves two of them. #}
{% for n in range(2, steps + 1) %}
reached_{{ n }} AS (
  SELECT
    p.unit_key,
    p.client_key,
    p.event_order,
    p.step_index,
    p.event_us,
    IF(p.step_index = {{ n }} AND p.event_us - p.latest_us <= @window_us, p.latest_us, p.start_us) AS start_us
  FROM (
    SELECT
      r.*,
      MAX(IF(r.step_index = {{ n - 1 }}, r.start_us, NULL)) OVER (
        PARTITION BY r.unit_key
        ORDER BY r.event_order, r.client_key, r.step_index DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS latest_us
    FROM reached_{{ n - 1 }} AS r
  ) AS p
),

{% endfor %}
first_reached AS (
  SELECT r.step_index, r.event_us - r.start_us AS elapsed_us
  FROM reached_{{ steps }} AS r
  WHERE r.start_us IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY r.unit_key, r.step_index ORDER BY r.event_order, r.client_key) = 1
),

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

SELECT s.step_index, s.micro_conversion, COALESCE(m.units, 0) AS units, m.seconds_median
FROM steps AS s
LEFT JOIN medians AS m ON m.step_index = s.step_index
ORDER BY s.step_index
