-- How many of the events that were put in order anew have another place now than they are staged with.
-- grain: none
-- params: none
SELECT COUNTIF(c.event_order != c.was_order) AS moved_events
FROM {{ relation('changed_events') }} AS c
