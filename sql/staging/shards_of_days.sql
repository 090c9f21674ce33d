-- All that is noted of some staged days of a property.
-- grain: property, event_date
-- params: property STRING, dates ARRAY<DATE>
-- structure: columns
SELECT
  {% for column in columns %}
  s.{{ column | identifier }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM {{ relation('mc_shards') }} AS s
WHERE s.property = @property AND s.event_date IN UNNEST(@dates)
ORDER BY s.event_date
