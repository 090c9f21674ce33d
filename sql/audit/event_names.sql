-- How many events of each name are staged.
-- grain: event_name
-- params: none
-- structure: none
SELECT e.event_name, COUNT(*) AS events
FROM {{ relation('mc_events') }} AS e
WHERE e.event_name IS NOT NULL
GROUP BY e.event_name
ORDER BY e.event_name
