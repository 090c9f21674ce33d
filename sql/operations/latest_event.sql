-- One row: when the latest staged event happened; NULL when nothing is staged. An event of a device whose clock runs ahead
-- is later than all staged days, and does not count.
-- grain: none
-- params: none
-- structure: none
SELECT MAX(e.event_at) AS latest_event_at
FROM {{ relation('mc_events') }} AS e
WHERE e.event_at < (
  SELECT COALESCE(TIMESTAMP(DATE_ADD(MAX(s.event_date), INTERVAL 2 DAY)), TIMESTAMP '9999-12-31 00:00:00+00')
  FROM {{ relation('mc_shards') }} AS s
)
