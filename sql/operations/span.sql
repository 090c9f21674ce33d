-- One row: the first and the last staged day; NULL when nothing is staged.
-- grain: none
-- params: none
-- structure: none
SELECT MIN(h.event_date) AS first_date, MAX(h.event_date) AS last_date
FROM {{ relation('mc_shards') }} AS h
