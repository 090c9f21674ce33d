-- Staged events of the touched sessions on other days than the changed ones: sessions cross midnight.
-- Only days between the first and last day of a touched session are read.
-- grain: property, event_date, client_key, event_order
-- params: property STRING, changed_dates ARRAY<DATE>, first_date DATE, last_date DATE
-- structure: carried
SELECT
  m.property, m.event_date, m.event_at, m.event_order, m.event_name, m.client_key, m.session_key, m.user_id,
  m.user_pseudo_id, m.stream_id, m.ga_session_id, m.session_number, m.session_engaged, m.engagement_msec,
  m.page_location, m.page_referrer, m.value, m.currency, m.value_in_usd, m.transaction_id, m.traffic_rule,
  m.traffic_source, m.traffic_medium, m.traffic_campaign, m.traffic_channel_group, m.click_id, m.ignores_referrer,
  m.device_category, m.country, m.language, m.platform, m.app_version, m.page_host, m.is_provisional
  {%- for extra in carried %}, m.{{ extra.column | identifier }}{% endfor %}

FROM {{ relation('mc_events') }} AS m
INNER JOIN {{ relation('touched_sessions') }} AS t ON t.session_key = m.session_key
WHERE
  m.property = @property
  AND m.event_date BETWEEN @first_date AND @last_date
  AND NOT (m.event_date IN UNNEST(@changed_dates))
