-- One row: when the latest staged event happened; NULL when nothing is staged.
-- grain: none
-- params: none
-- structure: none
SELECT MAX(e.event_at) AS latest_event_at
FROM {{ relation('mc_events') }} AS e
