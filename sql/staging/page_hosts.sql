-- The hosts on which the pages of the changed days lie.
-- grain: event_date, host
-- params: property STRING
SELECT @property AS property, c.event_date, c.page_host AS host, COUNT(*) AS events
FROM {{ relation('changed_events') }} AS c
WHERE c.page_host IS NOT NULL
GROUP BY c.event_date, c.page_host
