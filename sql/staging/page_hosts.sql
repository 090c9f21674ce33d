-- The hosts on which the pages of the changed days lie.
-- grain: event_date, host
-- params: property STRING
{% from '_urls.sql' import host %}
-- Many events share the beginning of their address, and the beginning is quick to cut.
WITH origins AS (
  SELECT
    c.event_date,
    IF(
      STRPOS(SUBSTR(c.page_location, 9), '/') > 0,
      SUBSTR(c.page_location, 1, STRPOS(SUBSTR(c.page_location, 9), '/') + 8), c.page_location
    ) AS origin,
    COUNT(*) AS events
  FROM {{ relation('changed_events') }} AS c
  WHERE c.page_location IS NOT NULL
  GROUP BY c.event_date, origin
),

hosts AS (
  SELECT o.event_date, {{ host('o.origin' | identifier) }} AS host, o.events
  FROM origins AS o
)

SELECT @property AS property, h.event_date, h.host, SUM(h.events) AS events
FROM hosts AS h
WHERE h.host IS NOT NULL
GROUP BY h.event_date, h.host
