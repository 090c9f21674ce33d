-- On which hosts the pages of a property lie, before and after the changed days are replaced.
-- grain: host
-- params: property STRING, changed_dates ARRAY<DATE>
WITH hosts AS (
  SELECT m.host, m.events AS events_before, IF(m.event_date IN UNNEST(@changed_dates), 0, m.events) AS events_now
  FROM {{ relation('mc_hosts') }} AS m
  WHERE m.property = @property
  UNION ALL
  SELECT p.host, 0 AS events_before, p.events AS events_now
  FROM {{ relation('page_hosts') }} AS p
)

SELECT h.host, SUM(h.events_before) AS events_before, SUM(h.events_now) AS events_now
FROM hosts AS h
GROUP BY h.host
