-- Sessions by default channel group.
-- grain: channel_group
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'analyses/_sessions.sql' import channel with context %}
SELECT
  {{ channel('s' | identifier) }} AS channel_group,
  COUNT(*) AS sessions,
  COUNTIF(s.is_engaged) AS engaged_sessions,
  COUNT(DISTINCT s.actor_key) AS actors,
  CAST(SUM(s.page_views) AS INT64) AS page_views
FROM {{ relation('mc_sessions') }} AS s
WHERE
  (@first_date IS NULL OR s.session_date >= @first_date)
  AND (@last_date IS NULL OR s.session_date <= @last_date)
GROUP BY {{ channel('s' | identifier) }}
ORDER BY sessions DESC, channel_group
