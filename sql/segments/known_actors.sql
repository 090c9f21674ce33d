-- How many actors were there up to as_of: those with a session or an occurrence.
-- grain: none
-- params: as_of TIMESTAMP
-- structure: none
SELECT COUNT(*) AS actors
FROM (
  SELECT s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at <= @as_of
  UNION DISTINCT
  SELECT m.actor_key
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.actor_key IS NOT NULL AND m.event_at <= @as_of
) AS a
