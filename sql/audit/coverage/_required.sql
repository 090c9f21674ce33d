{# The parameters that entries require of their events: how often each event came, on each day, and with what in each of
   them; import `with context`. #}
{% from 'audit/_days.sql' import in_period %}
{% macro ctes() %}
required AS (
  SELECT
    event_name,
    @required_parameters[OFFSET(place)] AS parameter,
    MIN(@required_types[OFFSET(place)]) AS required_type
  FROM UNNEST(@required_events) AS event_name WITH OFFSET AS place
  GROUP BY event_name, parameter
),

sent AS (
  SELECT p.event_name, p.event_date, SUM(p.event_rows) AS event_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter = ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name, p.event_date
),

filled AS (
  SELECT
    p.event_name,
    p.parameter,
    p.event_date,
    SUM(IF(p.value_type = 'null', 0, p.event_rows - COALESCE(p.rows_empty, 0))) AS rows_with,
    SUM(IF(p.value_type = 'string', p.event_rows - COALESCE(p.rows_empty, 0), 0)) AS rows_of_text,
    SUM(IF(p.value_type = 'float', p.event_rows, 0)) AS rows_of_reals,
    MAX(IF(p.value_type = 'string', p.example, NULL)) AS example
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter != ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name, p.parameter, p.event_date
)
{%- endmacro %}
