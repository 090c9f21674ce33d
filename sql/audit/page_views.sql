-- The pages that most actors saw, by path.
-- grain: page
-- params: most INT64
-- structure: none
{% from '_urls.sql' import path %}
{% set location %}v.page_location{% endset %}
WITH views AS (
  SELECT e.page_location, e.client_key, COUNT(*) AS page_views
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name = 'page_view' AND e.client_key IS NOT NULL AND e.page_location IS NOT NULL
  GROUP BY e.page_location, e.client_key
),

pages AS (
  SELECT v.page_location, {{ path(location) }} AS page
  FROM views AS v
  GROUP BY v.page_location
)

SELECT p.page, CAST(SUM(v.page_views) AS INT64) AS page_views, COUNT(DISTINCT v.client_key) AS clients
FROM views AS v
INNER JOIN pages AS p ON p.page_location = v.page_location
GROUP BY p.page
ORDER BY clients DESC, p.page
LIMIT @most
