{# Rows of other systems' tables that count: those of the readings that mc_external_files has; import `with context`. #}

{% macro metrics() %}
  SELECT m.property, m.day, m.name, m.dimension, m.value
  FROM {{ relation('mc_external_metrics') }} AS m
  INNER JOIN {{ relation('mc_external_files') }} AS f ON f.reading = m.reading
  WHERE f.kind = 'metrics'
{% endmacro %}
