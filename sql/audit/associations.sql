-- Events by name, entries of the taxonomy, and pages by pattern: how many actors did each, and how many of these have a
-- macro-conversion, at any time or after the first time they did it. The row of `all` is every actor.
-- grain: kind, name
-- params: page_patterns ARRAY<STRING>
-- structure: none
{% from '_keys.sql' import key %}
{% from '_urls.sql' import path %}
{% set user %}CONCAT('u|', e.property, '|', e.user_id){% endset %}
{% set location %}s.page_location{% endset %}
WITH events AS (
  SELECT
    e.event_name,
    IF(e.event_name = 'page_view', e.page_location, NULL) AS page_location,
    COALESCE({{ key(user) }}, v.actor_key, e.client_key) AS actor,
    e.event_at,
    e.event_date
  FROM {{ relation('mc_events') }} AS e
  LEFT JOIN {{ relation('mc_sessions') }} AS v ON v.session_key = e.session_key
  WHERE e.client_key IS NOT NULL
),

seen AS (
  SELECT
    e.event_name,
    e.page_location,
    e.actor AS actor_key,
    COUNT(*) AS occurrences,
    MIN(UNIX_MICROS(e.event_at)) AS first_us,
    MAX(e.event_date) AS last_date
  FROM events AS e
  GROUP BY e.event_name, e.page_location, e.actor
),

pages AS (
  SELECT s.page_location, {{ path(location) }} AS page
  FROM seen AS s
  WHERE s.page_location IS NOT NULL
  GROUP BY s.page_location
),

matches AS (
  SELECT p.page_location, pattern
  FROM pages AS p
  CROSS JOIN UNNEST(@page_patterns) AS pattern
  WHERE REGEXP_CONTAINS(p.page, pattern)
),

signals AS (
  SELECT 'event' AS kind, s.event_name AS name, s.actor_key, s.occurrences, s.first_us, s.last_date
  FROM seen AS s
  UNION ALL
  SELECT 'page' AS kind, m.pattern AS name, s.actor_key, s.occurrences, s.first_us, s.last_date
  FROM seen AS s
  INNER JOIN matches AS m ON m.page_location = s.page_location
  UNION ALL
  SELECT
    'entry' AS kind,
    o.micro_conversion AS name,
    o.actor_key,
    COUNT(*) AS occurrences,
    MIN(UNIX_MICROS(o.event_at)) AS first_us,
    MAX(o.event_date) AS last_date
  FROM {{ relation('mc_micro_conversions') }} AS o
  GROUP BY o.micro_conversion, o.actor_key
  UNION ALL
  SELECT 'all' AS kind, '' AS name, s.actor_key, s.occurrences, s.first_us, s.last_date
  FROM seen AS s
),

by_actor AS (
  SELECT
    g.kind,
    g.name,
    g.actor_key,
    SUM(g.occurrences) AS occurrences,
    MIN(g.first_us) AS first_us,
    MAX(g.last_date) AS last_date
  FROM signals AS g
  GROUP BY g.kind, g.name, g.actor_key
),

macros AS (
  SELECT o.actor_key, MAX(UNIX_MICROS(o.event_at)) AS last_us
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.kind = 'macro'
  GROUP BY o.actor_key
)

SELECT
  b.kind,
  b.name,
  CAST(SUM(b.occurrences) AS INT64) AS occurrences,
  COUNT(*) AS actors,
  COUNT(m.actor_key) AS converted,
  COUNTIF(m.last_us > b.first_us) AS converted_after,
  MAX(b.last_date) AS last_date
FROM by_actor AS b
LEFT JOIN macros AS m ON m.actor_key = b.actor_key
GROUP BY b.kind, b.name
ORDER BY b.kind, b.name
