-- The parameters that the events of some shards were sent with: how often, as which type, and the values that are most
-- frequent, a line each of how many, a tab and the value. What may be somebody's e-mail address or number is masked.
-- grain: event_name, parameter, type
-- params: none
-- structure: leaves, texts
{% import 'staging/_raw.sql' as raw with context %}
{% set key %}SUBSTR(COALESCE(p.key, ''), 1, 100){% endset %}
{% set words %}SUBSTR({{ raw.string_value() }}, 1, 100){% endset %}
{% macro one_cell(text) -%}
REPLACE({{ raw.one_line(text) }}, '\t', ' ')
{%- endmacro %}
WITH names AS (
  SELECT {{ raw.text('event_name') }} AS event_name
  FROM {{ relation('raw_events') }} AS e
),

sizes AS (
  SELECT n.event_name, COUNT(*) AS events
  FROM names AS n
  GROUP BY n.event_name
),

cells AS (
  SELECT
    {{ raw.text('event_name') }} AS event_name,
    {{ one_cell(key) }} AS parameter,
    CASE
      WHEN {{ raw.string_value() }} IS NOT NULL THEN 'string'
      WHEN CAST({{ raw.slot('int_value') }} AS INT64) IS NOT NULL THEN 'int'
      WHEN {{ raw.real() }} IS NOT NULL THEN 'double'
      ELSE 'none'
    END AS type,
    COALESCE(
      {{ one_cell(words) }},
      CAST(CAST({{ raw.slot('int_value') }} AS INT64) AS STRING),
      CAST({{ raw.real() }} AS STRING)
    ) AS value
  FROM {{ relation('raw_events') }} AS e
  CROSS JOIN UNNEST(e.event_params) AS p
),

found AS (
  SELECT c.event_name, c.parameter, c.type, c.value, COUNT(*) AS found
  FROM cells AS c
  GROUP BY c.event_name, c.parameter, c.type, c.value
),

counted AS (
  SELECT f.event_name, f.parameter, f.type, SUM(f.found) AS found, COUNT(f.value) AS distinct_values
  FROM found AS f
  GROUP BY f.event_name, f.parameter, f.type
),

masked AS (
  SELECT
    f.event_name,
    f.parameter,
    f.type,
    REGEXP_REPLACE(
      REGEXP_REPLACE(f.value, r'[^\s@/?&=:,;<>"]+(?:@|%40)[^\s@/?&=:,;<>"]+', '<e-mail>'),
      r'\+?[0-9][0-9 ().-]{5,}[0-9]', '<number>'
    ) AS value,
    f.found
  FROM found AS f
  WHERE f.value IS NOT NULL
),

added AS (
  SELECT m.event_name, m.parameter, m.type, m.value, SUM(m.found) AS found
  FROM masked AS m
  GROUP BY m.event_name, m.parameter, m.type, m.value
),

ranked AS (
  SELECT
    a.*,
    ROW_NUMBER() OVER (PARTITION BY a.event_name, a.parameter, a.type ORDER BY a.found DESC, a.value) AS place
  FROM added AS a
),

frequent AS (
  SELECT
    r.event_name,
    r.parameter,
    r.type,
    STRING_AGG(CONCAT(CAST(CAST(r.found AS INT64) AS STRING), '\t', r.value), '\n' ORDER BY r.place) AS frequent_values
  FROM ranked AS r
  WHERE r.place <= 10
  GROUP BY r.event_name, r.parameter, r.type
)

SELECT
  c.event_name,
  c.parameter,
  c.type,
  s.events,
  CAST(c.found AS INT64) AS found,
  c.distinct_values,
  f.frequent_values
FROM counted AS c
INNER JOIN sizes AS s ON s.event_name = c.event_name
LEFT JOIN frequent AS f ON f.event_name = c.event_name AND f.parameter = c.parameter AND f.type = c.type
ORDER BY c.event_name, c.parameter, c.type
