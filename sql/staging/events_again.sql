-- Staged events of some days, for what is made of them: they are as they were read, but the events of one instant are put
-- in order anew, since the taxonomy's ranks have a say in it. `was_order` is the order in which they are staged.
-- grain: property, event_date, client_key, event_order
-- params: property STRING, dates ARRAY<DATE>, first_date DATE, last_date DATE, ranked_events ARRAY<STRING>,
--   event_ranks ARRAY<INT64>, patterns ARRAY<STRING>, pattern_ranks ARRAY<INT64>
-- structure: carried, has_patterns
{% from 'staging/_order.sql' import instant_order, ranks with context %}
{% set event_names %}SELECT DISTINCT s.event_name FROM staged AS s{% endset %}
WITH staged AS (
  SELECT m.*, COALESCE(m.client_key, -1) AS client
  FROM {{ relation('mc_events') }} AS m
  WHERE
    m.property = @property
    AND m.event_date BETWEEN @first_date AND @last_date
    AND m.event_date IN UNNEST(@dates)
),

ranks AS (
{{ ranks(event_names) }}
),

-- Instants at which a client has more than one event.
crowded AS (
  SELECT s.event_date, s.client, s.event_at
  FROM staged AS s
  GROUP BY s.event_date, s.client, s.event_at
  HAVING COUNT(*) > 1
),

placed AS (
  SELECT
    s.event_date,
    s.client,
    s.event_order AS was_order,
    UNIX_MICROS(s.event_at) * 1000 - 1 + ROW_NUMBER() OVER (
      PARTITION BY s.event_date, s.client, s.event_at
      ORDER BY
        s.batch_page_id, s.batch_ordering_id, s.batch_event_index, r.stage_rank, s.event_name,
        {{ instant_order('s' | identifier) }}, s.event_order
    ) AS event_order
  FROM staged AS s
  INNER JOIN crowded AS c ON c.event_date = s.event_date AND c.client = s.client AND c.event_at = s.event_at
  LEFT JOIN ranks AS r ON r.event_name = s.event_name
)

SELECT
  s.property, s.event_date, s.event_at, COALESCE(p.event_order, s.event_order) AS event_order, s.event_name,
  s.client_key, s.session_key, s.user_id, s.user_pseudo_id, s.stream_id, s.ga_session_id, s.session_number,
  s.session_engaged, s.engagement_msec, s.page_location, s.page_referrer, s.value, s.currency, s.value_in_usd,
  s.transaction_id, s.traffic_rule, s.traffic_source, s.traffic_medium, s.traffic_campaign, s.traffic_channel_group,
  s.click_id, s.gclid, s.gbraid, s.wbraid, s.fbclid, s.ignores_referrer, s.device_category, s.country, s.language,
  s.platform, s.app_version, s.page_host, s.item_count, s.items_value, s.is_debug, s.traffic_type, s.copies,
  s.is_provisional, s.batch_page_id, s.batch_ordering_id, s.batch_event_index,
  {% for extra in carried %}
  s.{{ extra.column | identifier }},
  {% endfor %}
  s.event_order AS was_order
FROM staged AS s
LEFT JOIN placed AS p ON p.event_date = s.event_date AND p.client = s.client AND p.was_order = s.event_order
