-- Sessions by default channel group.
-- grain: channel_group
-- params: none
-- structure: none
SELECT
  COALESCE(s.channel_group, 'Unassigned') AS channel_group,
  COUNT(*) AS sessions,
  COUNTIF(s.is_engaged) AS engaged_sessions,
  COUNT(DISTINCT s.actor_key) AS actors,
  CAST(SUM(s.page_views) AS INT64) AS page_views
FROM {{ relation('mc_sessions') }} AS s
GROUP BY COALESCE(s.channel_group, 'Unassigned')
ORDER BY sessions DESC, channel_group
