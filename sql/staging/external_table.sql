-- A table of another system that lies in the engine, as it is.
-- grain: none
-- params: none
-- structure: columns
SELECT
  {% for column in columns %}
  t.{{ column | identifier }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM {{ relation('external_table') }} AS t
