-- How many actors have each value of each feature.
-- grain: place, value
-- params: none
-- structure: features
{% for place in range(features) %}
SELECT {{ place }} AS place, f.feature_{{ place }} AS value, COUNT(*) AS actors
FROM {{ relation('propensity_features') }} AS f
GROUP BY f.feature_{{ place }}
{% if not loop.last %}
UNION ALL
{% endif %}
{% endfor %}
ORDER BY place, value
