-- Flat, narrow events of the shards read: the nested records of the export are read here, once, and nowhere else. (The few
-- plain columns that put events in order are read before them.)
-- `copies` counts the exact duplicates (same client, name, timestamp and parameters) that a row stands for.
-- grain: property, event_date, client_key, event_order
-- params: property STRING, is_provisional BOOL, ranked_events ARRAY<STRING>, carried_<n> STRING
-- structure: leaves, carried
{% import 'staging/_raw.sql' as raw with context %}
{% from '_keys.sql' import key %}
{% from 'staging/_traffic.sql' import said %}
{% set stream_id %}COALESCE({{ raw.text('stream_id') }}, ''){% endset %}
{% set user_pseudo_id %}NULLIF({{ raw.text('user_pseudo_id') }}, ''){% endset %}
{% set client %}
CONCAT(
      'c|', @property, '|',
      {{ stream_id }},
      '|',
      {{ user_pseudo_id }}
    )
{%- endset %}
{% set keyed_events %}
(
    SELECT e.*, {{ key(client) }} AS client_key
    FROM {{ relation('raw_events') }} AS e
  )
{%- endset %}
{# One order for all that can differ between equal-named rows of one instant: rows that tie on it are equal in every column
   staged, so which of them comes first cannot show. #}
{% macro instant_order(row) -%}
      {{ row }}.batch_page_id, {{ row }}.batch_ordering_id, {{ row }}.batch_event_index,
      {{ row }}.page_location, {{ row }}.page_referrer, {{ row }}.ga_session_id,
      {{ row }}.session_number, {{ row }}.engagement_msec, {{ row }}.value, {{ row }}.currency,
      {{ row }}.transaction_id, {{ row }}.user_id, {{ row }}.stream_id, {{ row }}.traffic_rule,
      {{ row }}.traffic_source, {{ row }}.traffic_medium, {{ row }}.traffic_campaign,
      {{ row }}.traffic_channel_group, {{ row }}.click_id, {{ row }}.device_category, {{ row }}.country
      {%- for extra in carried %}, {{ row }}.{{ extra.column | identifier }}{% endfor %}
{%- endmacro %}
WITH ranks AS (
  SELECT ranked_event AS event_name, MIN(place) AS stage_rank
  FROM UNNEST(@ranked_events) AS ranked_event WITH OFFSET AS place
  GROUP BY ranked_event
),

-- What orders the events of an instant, read before all else: sorting whole rows costs ten times as much.
moments AS (
  SELECT
    {{ raw.text('event_date') }} AS event_date,
    COALESCE(e.client_key, -1) AS client,
    {{ raw.integer('event_timestamp') }} AS event_us,
    {{ raw.text('event_name') }} AS event_name,
    {{ raw.integer('batch_page_id') }} AS batch_page_id,
    {{ raw.integer('batch_ordering_id') }} AS batch_ordering_id,
    {{ raw.integer('batch_event_index') }} AS batch_event_index,
    r.stage_rank
  FROM {{ keyed_events }} AS e
  LEFT JOIN ranks AS r ON r.event_name = {{ raw.text('event_name') }}
),

-- Instants at which a client sent one name more than once. Exact duplicates are there alone, and only there it takes more
-- than names to put the events in order.
unclear AS (
  SELECT DISTINCT n.event_date, n.client, n.event_us
  FROM (
    SELECT m.event_date, m.client, m.event_us, m.event_name
    FROM moments AS m
    GROUP BY m.event_date, m.client, m.event_us, m.event_name
    HAVING COUNT(*) > 1
  ) AS n
),

-- The place of each event at all other instants.
placed AS (
  SELECT
    PARSE_DATE('%Y%m%d', m.event_date) AS event_date,
    m.client,
    m.event_us,
    m.event_name,
    ROW_NUMBER() OVER (
      PARTITION BY m.event_date, m.client, m.event_us
      ORDER BY m.batch_page_id, m.batch_ordering_id, m.batch_event_index, m.stage_rank, m.event_name
    ) - 1 AS place
  FROM moments AS m
),

flat AS (
  SELECT
    e.client_key,
    COALESCE(e.client_key, -1) AS client,
    u.client IS NOT NULL AS is_unclear,
    PARSE_DATE('%Y%m%d', {{ raw.text('event_date') }}) AS event_date,
    {{ raw.integer('event_timestamp') }} AS event_us,
    {{ raw.text('event_name') }} AS event_name,
    NULLIF({{ raw.text('user_id') }}, '') AS user_id,
    {{ user_pseudo_id }} AS user_pseudo_id,
    {{ stream_id }} AS stream_id,
    {{ raw.param_integer(constant('ga_session_id')) }} AS ga_session_id,
    {{ raw.param_integer(constant('ga_session_number')) }} AS session_number,
    {{ raw.param_integer(constant('engagement_time_msec')) }} AS engagement_msec,
    {{ raw.param_string(constant('page_location')) }} AS page_location,
    {{ raw.param_string(constant('page_referrer')) }} AS page_referrer,
    COALESCE({{ raw.number('ecommerce.purchase_revenue') }}, {{ raw.param_number(constant('value')) }}) AS value,
    {{ raw.param_string(constant('currency')) }} AS currency,
    COALESCE(
      {{ said(raw.text('ecommerce.transaction_id')) }}, {{ said(raw.param_any_text(constant('transaction_id'))) }}
    ) AS transaction_id,
    {{ raw.text('session_traffic_source_last_click.cross_channel_campaign.source') }} AS last_click_source,
    {{ raw.text('session_traffic_source_last_click.cross_channel_campaign.medium') }} AS last_click_medium,
    {{ raw.text('session_traffic_source_last_click.cross_channel_campaign.campaign_name') }} AS last_click_campaign,
    {{ raw.text('session_traffic_source_last_click.cross_channel_campaign.default_channel_group') }} AS last_click_group,
    {{ raw.text('collected_traffic_source.manual_source') }} AS collected_source,
    {{ raw.text('collected_traffic_source.manual_medium') }} AS collected_medium,
    {{ raw.text('collected_traffic_source.manual_campaign_name') }} AS collected_campaign,
    {{ raw.text('collected_traffic_source.gclid') }} AS collected_gclid,
    {{ raw.text('collected_traffic_source.dclid') }} AS collected_dclid,
    {{ raw.text('collected_traffic_source.srsltid') }} AS collected_srsltid,
    {{ raw.param_text(constant('source')) }} AS param_source,
    {{ raw.param_text(constant('medium')) }} AS param_medium,
    {{ raw.param_text(constant('campaign')) }} AS param_campaign,
    {{ raw.param_string(constant('gclid')) }} AS param_gclid,
    {{ raw.param_string(constant('dclid')) }} AS param_dclid,
    {{ raw.text('device.category') }} AS device_category,
    {{ raw.text('geo.country') }} AS country,
    {{ raw.integer('batch_page_id') }} AS batch_page_id,
    {{ raw.integer('batch_ordering_id') }} AS batch_ordering_id,
    {{ raw.integer('batch_event_index') }} AS batch_event_index,
    {% for extra in carried %}
    {% if extra.kind == 'item' %}
    COALESCE({{ raw.item_texts(extra.name) }}, {{ raw.line(raw.param_any_text(constant(extra.name))) }})
    {%- elif extra.is_number %}
    {{ raw.param_number(parameter('carried_', loop.index0)) }}
    {%- else %}
    {{ raw.param_any_text(parameter('carried_', loop.index0)) }}
    {%- endif %}
 AS {{ extra.column | identifier }},
    {% endfor %}
    IF(u.client IS NULL, NULL, TO_JSON_STRING(e.event_params)) AS same_params
  FROM {{ keyed_events }} AS e
  LEFT JOIN unclear AS u
    ON u.event_date = {{ raw.text('event_date') }}
    AND u.client = COALESCE(e.client_key, -1)
    AND u.event_us = {{ raw.integer('event_timestamp') }}
),

resolved AS (
  SELECT
    f.event_date,
    f.event_us,
    f.event_name,
    f.client_key,
    f.client,
    f.is_unclear,
    f.user_id,
    f.user_pseudo_id,
    f.stream_id,
    f.ga_session_id,
    f.session_number,
    -- Anybody can send these: more than a day of engagement, or ten billion of a currency, would overflow sums.
    IF(f.engagement_msec BETWEEN 0 AND 86400000, f.engagement_msec, NULL) AS engagement_msec,
    f.page_location,
    f.page_referrer,
    IF(f.value BETWEEN -1e10 AND 1e10, f.value, NULL) AS value,
    f.currency,
    f.transaction_id,
    CASE
      WHEN f.last_click_source IS NOT NULL THEN 'ga4_last_click'
      WHEN COALESCE(f.collected_source, f.collected_medium) IS NOT NULL THEN 'collected'
      WHEN COALESCE(f.param_source, f.param_medium) IS NOT NULL THEN 'event_params'
    END AS traffic_rule,
    CASE
      WHEN f.last_click_source IS NOT NULL THEN f.last_click_source
      WHEN COALESCE(f.collected_source, f.collected_medium) IS NOT NULL THEN f.collected_source
      ELSE f.param_source
    END AS traffic_source,
    CASE
      WHEN f.last_click_source IS NOT NULL THEN f.last_click_medium
      WHEN COALESCE(f.collected_source, f.collected_medium) IS NOT NULL THEN f.collected_medium
      ELSE f.param_medium
    END AS traffic_medium,
    CASE
      WHEN f.last_click_source IS NOT NULL THEN f.last_click_campaign
      WHEN COALESCE(f.collected_source, f.collected_medium) IS NOT NULL THEN f.collected_campaign
      WHEN COALESCE(f.param_source, f.param_medium) IS NOT NULL THEN f.param_campaign
    END AS traffic_campaign,
    IF(f.last_click_source IS NOT NULL, f.last_click_group, NULL) AS traffic_channel_group,
    CASE
      WHEN COALESCE(f.collected_gclid, f.param_gclid) IS NOT NULL THEN 'gclid'
      WHEN COALESCE(f.collected_dclid, f.param_dclid) IS NOT NULL THEN 'dclid'
      WHEN f.collected_srsltid IS NOT NULL THEN 'srsltid'
    END AS click_id,
    f.device_category,
    f.country,
    {% for extra in carried %}
    f.{{ extra.column | identifier }},
    {% endfor %}
    f.batch_page_id,
    f.batch_ordering_id,
    f.batch_event_index,
    r.stage_rank,
    f.same_params
  FROM flat AS f
  LEFT JOIN ranks AS r ON r.event_name = f.event_name
),

together AS (
  SELECT
    r.*,
    ROW_NUMBER() OVER (
      PARTITION BY r.event_date, r.client, r.event_us, r.event_name ORDER BY {{ instant_order('r' | identifier) }}
    ) AS place_in_name,
    ROW_NUMBER() OVER (
      PARTITION BY r.event_date, r.client, r.event_us, r.event_name, r.same_params
      ORDER BY {{ instant_order('r' | identifier) }}
    ) AS copy,
    COUNT(*) OVER (PARTITION BY r.event_date, r.client, r.event_us, r.event_name, r.same_params) AS copies
  FROM resolved AS r
  WHERE r.is_unclear
),

single AS (
  SELECT r.*, COALESCE(p.place, 0) AS place, 1 AS copies
  FROM resolved AS r
  LEFT JOIN placed AS p
    ON p.event_date = r.event_date
    AND p.client = r.client
    AND p.event_us = r.event_us
    AND p.event_name = r.event_name
    AND p.place > 0
  WHERE NOT r.is_unclear
  UNION ALL
  -- Without a client nobody can tell whether two equal rows are one event.
  SELECT
    t.* EXCEPT (copy, copies, place_in_name),
    ROW_NUMBER() OVER (
      PARTITION BY t.event_date, t.client, t.event_us
      ORDER BY
        t.batch_page_id, t.batch_ordering_id, t.batch_event_index, t.stage_rank, t.event_name, t.place_in_name
    ) - 1 AS place,
    IF(t.client_key IS NULL, 1, t.copies) AS copies
  FROM together AS t
  WHERE t.copy = 1 OR t.client_key IS NULL
)

SELECT
  @property AS property,
  s.event_date,
  TIMESTAMP_MICROS(s.event_us) AS event_at,
  s.event_us * 1000 + s.place AS event_order,
  s.event_name,
  s.client_key,
  s.client_key ^ s.ga_session_id AS session_key,
  s.user_id,
  s.user_pseudo_id,
  s.stream_id,
  s.ga_session_id,
  s.session_number,
  s.engagement_msec,
  s.page_location,
  s.page_referrer,
  s.value,
  s.currency,
  s.transaction_id,
  s.traffic_rule,
  s.traffic_source,
  s.traffic_medium,
  s.traffic_campaign,
  s.traffic_channel_group,
  s.click_id,
  s.device_category,
  s.country,
  @is_provisional AS is_provisional,
  {% for extra in carried %}
  s.{{ extra.column | identifier }},
  {% endfor %}
  s.copies
FROM single AS s
