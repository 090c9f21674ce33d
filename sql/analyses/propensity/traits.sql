-- Devices and channels of actors' sessions in a time, with the actors of each.
-- grain: trait, value
-- params: from_us INT64, before_us INT64
-- structure: none
WITH sessions AS (
  SELECT s.actor_key, s.device_category, s.channel_group
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND UNIX_MICROS(s.started_at) >= @from_us AND UNIX_MICROS(s.started_at) < @before_us
)

SELECT 'device' AS trait, s.device_category AS value, COUNT(DISTINCT s.actor_key) AS actors
FROM sessions AS s
WHERE s.device_category IS NOT NULL
GROUP BY s.device_category
UNION ALL
SELECT 'channel' AS trait, s.channel_group AS value, COUNT(DISTINCT s.actor_key) AS actors
FROM sessions AS s
WHERE s.channel_group IS NOT NULL
GROUP BY s.channel_group
ORDER BY trait, value
