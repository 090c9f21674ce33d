-- How many actors the rule of each segment holds for, by the place in which the segments are looked at.
-- grain: place
-- params: none
-- structure: matches
{% for place in range(matches) %}
{% if not loop.first %}
UNION ALL
{% endif %}
SELECT {{ place }} AS place, COUNT(*) AS actors
FROM {{ relation('segment_matches_' ~ place) }} AS m
{% endfor %}
