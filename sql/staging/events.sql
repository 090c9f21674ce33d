-- Flat, narrow events of the shards read: the nested records of the export are read here, once, and nowhere else. (The few
-- plain columns that put events in order are read before them.)
-- `copies` counts the row and its exact duplicates (same client, name, timestamp, parameters, batch fields and items);
-- `placeholder_…` says that something stood where an id should that is not one.
-- grain: property, event_date, client_key, event_order
-- params: property STRING, is_provisional BOOL, ranked_events ARRAY<STRING>, event_ranks ARRAY<INT64>,
--   patterns ARRAY<STRING>, pattern_ranks ARRAY<INT64>, carried_<n> STRING
-- structure: leaves, texts, carried, has_patterns
{% import 'staging/_raw.sql' as raw with context %}
{% from '_keys.sql' import key %}
{% from '_urls.sql' import web_host %}
{% from 'staging/_traffic.sql' import leads_here, said %}
{% from 'staging/_money.sql' import currency_code %}
{% from 'staging/_order.sql' import instant_order, ranks with context %}
{% set stream_id %}COALESCE({{ raw.text('stream_id') }}, ''){% endset %}
{% set user_pseudo_id %}{{ raw.usable(raw.text('user_pseudo_id')) }}{% endset %}
{% set client %}
CONCAT(
      'c|', @property, '|',
      {{ stream_id }},
      '|',
      {{ user_pseudo_id }}
    )
{%- endset %}
{# Who else than `cross_channel_campaign` speaks in GA4's last click, in Google's order. #}
{% set platforms = ['manual_campaign', 'google_ads_campaign', 'sa360_campaign', 'cm360_campaign', 'dv360_campaign'] %}
{% set last_click = 'session_traffic_source_last_click.' %}
{# One field of the first statement about the source that says something. #}
{% macro stated(field) -%}
CASE
      WHEN f.last_click_source IS NOT NULL THEN {{ ('f.last_click_' ~ field) | identifier }}
      {% for platform in platforms %}
      WHEN {{ platform_leads(platform) }} THEN {{ ('f.' ~ platform ~ '_' ~ field) | identifier }}
      {% endfor %}
      WHEN {{ leads_here('f.collected_source' | identifier, 'f.collected_medium' | identifier) }}
        THEN {{ ('f.collected_' ~ field) | identifier }}
      {% if field == 'campaign' %}
      WHEN COALESCE(f.param_source, f.param_medium) IS NOT NULL THEN f.param_campaign
      {% else %}
      ELSE {{ ('f.param_' ~ field) | identifier }}
      {% endif %}
    END
{%- endmacro %}
{% macro platform_leads(platform) -%}
{{ leads_here(('f.' ~ platform ~ '_source') | identifier, ('f.' ~ platform ~ '_medium') | identifier) }}
{%- endmacro %}
{% macro google_ads_click() -%}
COALESCE(
      {{ said(raw.text(last_click ~ 'google_ads_campaign.campaign_name')) }},
      {{ said(raw.text(last_click ~ 'google_ads_campaign.campaign_id')) }},
      {{ said(raw.text(last_click ~ 'google_ads_campaign.customer_id')) }}
    )
{%- endmacro %}
{% set keyed_events %}
(
    SELECT e.*, {{ key(client) }} AS client_key
    FROM {{ relation('raw_events') }} AS e
  )
{%- endset %}
{% macro by_batch(row) -%}
{{ row }}.batch_page_id, {{ row }}.batch_ordering_id, {{ row }}.batch_event_index
{%- endmacro %}
{# What copies of one event share: all that an exact copy can, and two events cannot. #}
{% macro sameness(row) -%}
      {{ row }}.event_date, {{ row }}.client, {{ row }}.event_us, {{ row }}.event_name, {{ row }}.same_params,
        {{ row }}.batch_page_id, {{ row }}.batch_ordering_id, {{ row }}.batch_event_index, {{ row }}.same_items
{%- endmacro %}
{% set event_names %}SELECT DISTINCT {{ raw.text('event_name') }} AS event_name FROM {{ relation('raw_events') }} AS e{% endset %}
WITH ranks AS (
{{ ranks(event_names) }}
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
    {{ raw.text('user_id') }} AS user_id,
    {{ raw.text('user_pseudo_id') }} AS user_pseudo_id,
    {{ stream_id }} AS stream_id,
    {{ raw.session_id() }} AS ga_session_id,
    {{ raw.session_number() }} AS session_number,
    -- GA4's word for it. The number 1, which session_start and first_visit always have, says nothing.
    {{ raw.param_string(constant('session_engaged')) }} = '1' AS session_engaged,
    {{ raw.param_integer(constant('engagement_time_msec')) }} AS engagement_msec,
    {{ raw.param_string(constant('page_location')) }} AS page_location,
    {{ raw.param_string(constant('page_referrer')) }} AS page_referrer,
    COALESCE({{ raw.number('ecommerce.purchase_revenue') }}, {{ raw.amount() }}) AS value,
    {{ currency_code(raw.param_string(constant('currency'))) }} AS currency,
    -- GA4's own conversion; its 0 for what is worth something says that it knew no rate.
    COALESCE(
      NULLIF({{ raw.number('ecommerce.purchase_revenue_in_usd') }}, 0), NULLIF({{ raw.number('event_value_in_usd') }}, 0)
    ) AS value_in_usd,
    {{ raw.text('ecommerce.transaction_id') }} AS ecommerce_transaction_id,
    {{ raw.param_any_text(constant('transaction_id')) }} AS param_transaction_id,
    {{ said(raw.text(last_click ~ 'cross_channel_campaign.source')) }} AS last_click_source,
    {{ said(raw.text(last_click ~ 'cross_channel_campaign.medium')) }} AS last_click_medium,
    {{ said(raw.text(last_click ~ 'cross_channel_campaign.campaign_name')) }} AS last_click_campaign,
    {{ said(raw.text(last_click ~ 'cross_channel_campaign.default_channel_group')) }} AS last_click_group,
    {% for platform in platforms %}
    {% if platform == 'google_ads_campaign' %}
    IF({{ google_ads_click() }} IS NULL, NULL, 'google') AS google_ads_campaign_source,
    IF({{ google_ads_click() }} IS NULL, NULL, 'cpc') AS google_ads_campaign_medium,
    {% else %}
    {{ said(raw.text(last_click ~ platform ~ '.source')) }} AS {{ (platform ~ '_source') | identifier }},
    {{ said(raw.text(last_click ~ platform ~ '.medium')) }} AS {{ (platform ~ '_medium') | identifier }},
    {% endif %}
    {{ said(raw.text(last_click ~ platform ~ '.campaign_name')) }} AS {{ (platform ~ '_campaign') | identifier }},
    {% endfor %}
    {{ said(raw.text('collected_traffic_source.manual_source')) }} AS collected_source,
    {{ said(raw.text('collected_traffic_source.manual_medium')) }} AS collected_medium,
    {{ said(raw.text('collected_traffic_source.manual_campaign_name')) }} AS collected_campaign,
    {{ said(raw.text('collected_traffic_source.gclid')) }} AS collected_gclid,
    {{ said(raw.text('collected_traffic_source.dclid')) }} AS collected_dclid,
    {{ said(raw.text('collected_traffic_source.srsltid')) }} AS collected_srsltid,
    {{ said(raw.param_text(constant('source'))) }} AS param_source,
    {{ said(raw.param_text(constant('medium'))) }} AS param_medium,
    {{ said(raw.param_text(constant('campaign'))) }} AS param_campaign,
    {{ said(raw.param_string(constant('gclid'))) }} AS param_gclid,
    {{ said(raw.param_string(constant('dclid'))) }} AS param_dclid,
    {{ raw.param_any_text(constant('ignore_referrer')) }} AS ignore_referrer,
    {{ raw.text('device.category') }} AS device_category,
    {{ raw.text('geo.country') }} AS country,
    LOWER({{ raw.text('device.language') }}) AS language,
    {{ said(raw.text('platform')) }} AS platform,
    {{ said(raw.text('app_info.version')) }} AS app_version,
    {{ raw.item_count() }} AS item_count,
    {{ raw.items_value() }} AS items_value,
    {{ raw.param_text(constant('debug_mode')) }} AS debug_mode,
    {{ raw.param_text(constant('debug_event')) }} AS debug_event,
    {{ said(raw.param_text(constant('traffic_type'))) }} AS traffic_type,
    {{ raw.batch_field('batch_page_id') }} AS batch_page_id,
    {{ raw.batch_field('batch_ordering_id') }} AS batch_ordering_id,
    {{ raw.batch_field('batch_event_index') }} AS batch_event_index,
    COALESCE(
      {{ raw.integer('batch_page_id') }}, {{ raw.integer('batch_ordering_id') }}, {{ raw.integer('batch_event_index') }}
    ) IS NULL AS is_batch_unread,
    {% for extra in carried %}
    {% if extra.kind == 'item' %}
    COALESCE({{ raw.item_texts(extra.name) }}, {{ raw.line(raw.param_any_text(constant(extra.name))) }})
    {%- elif extra.kind == 'user_property' %}
    {{ raw.user_property(parameter('carried_', loop.index0), extra.is_number) }}
    {%- elif extra.is_number %}
    {{ raw.param_number(parameter('carried_', loop.index0)) }}
    {%- else %}
    {{ raw.param_any_text(parameter('carried_', loop.index0)) }}
    {%- endif %}
 AS {{ extra.column | identifier }},
    {% endfor %}
    IF(u.client IS NULL, NULL, {{ raw.all_params() }}) AS same_params,
    IF(u.client IS NULL, NULL, {{ raw.all_items() }}) AS same_items
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
    {{ raw.usable('f.user_id' | identifier) }} AS user_id,
    {{ raw.usable('f.user_pseudo_id' | identifier) }} AS user_pseudo_id,
    f.stream_id,
    f.ga_session_id,
    f.session_number,
    f.session_engaged,
    -- Anybody can send these: more than a day of engagement, or ten billion of a currency, would overflow sums.
    IF(f.engagement_msec BETWEEN 0 AND 86400000, f.engagement_msec, NULL) AS engagement_msec,
    f.page_location,
    f.page_referrer,
    IF(f.value BETWEEN -1e10 AND 1e10, f.value, NULL) AS value,
    f.currency,
    IF(f.value_in_usd BETWEEN -1e10 AND 1e10, f.value_in_usd, NULL) AS value_in_usd,
    COALESCE(
      {{ raw.usable('f.ecommerce_transaction_id' | identifier) }}, {{ raw.usable('f.param_transaction_id' | identifier) }}
    ) AS transaction_id,
    CASE
      WHEN f.last_click_source IS NOT NULL THEN 'ga4_last_click'
      {% for platform in platforms %}
      WHEN {{ platform_leads(platform) }} THEN 'ga4_campaign'
      {% endfor %}
      WHEN {{ leads_here('f.collected_source' | identifier, 'f.collected_medium' | identifier) }} THEN 'collected'
      WHEN COALESCE(f.param_source, f.param_medium) IS NOT NULL THEN 'event_params'
    END AS traffic_rule,
    {{ stated('source') }} AS traffic_source,
    {{ stated('medium') }} AS traffic_medium,
    {{ stated('campaign') }} AS traffic_campaign,
    IF(f.last_click_source IS NOT NULL, f.last_click_group, NULL) AS traffic_channel_group,
    CASE
      WHEN COALESCE(f.collected_gclid, f.param_gclid) IS NOT NULL THEN 'gclid'
      WHEN COALESCE(f.collected_dclid, f.param_dclid) IS NOT NULL THEN 'dclid'
      WHEN f.collected_srsltid IS NOT NULL THEN 'srsltid'
    END AS click_id,
    -- Few addresses have a click id, so that a plain look comes before each pattern.
    COALESCE(
      f.collected_gclid, f.param_gclid,
      IF(STRPOS(f.page_location, 'clid=') > 0, REGEXP_EXTRACT(f.page_location, r'[?&]gclid=([^&#]+)'), NULL)
    ) AS gclid,
    IF(STRPOS(f.page_location, 'braid=') > 0, REGEXP_EXTRACT(f.page_location, r'[?&]gbraid=([^&#]+)'), NULL) AS gbraid,
    IF(STRPOS(f.page_location, 'braid=') > 0, REGEXP_EXTRACT(f.page_location, r'[?&]wbraid=([^&#]+)'), NULL) AS wbraid,
    IF(STRPOS(f.page_location, 'clid=') > 0, REGEXP_EXTRACT(f.page_location, r'[?&]fbclid=([^&#]+)'), NULL) AS fbclid,
    IF(LOWER(f.ignore_referrer) IN ('true', '1'), TRUE, NULL) AS ignores_referrer,
    f.device_category,
    f.country,
    f.language,
    f.platform,
    f.app_version,
    {{ web_host('f.page_location' | identifier) }} AS page_host,
    f.item_count,
    -- What is no number but calls itself one is not a value.
    IF(f.items_value BETWEEN -1e10 AND 1e10, f.items_value, NULL) AS items_value,
    IF(LOWER(f.debug_mode) IN ('true', '1') OR LOWER(f.debug_event) IN ('true', '1'), TRUE, NULL) AS is_debug,
    f.traffic_type,
    {% for extra in carried %}
    f.{{ extra.column | identifier }},
    {% endfor %}
    f.batch_page_id,
    f.batch_ordering_id,
    f.batch_event_index,
    COALESCE(f.user_pseudo_id, '') != '' AS has_client_id,
    COALESCE(f.user_id, '') != '' AS has_user_id,
    -- '(not set)' is GA4's own word on all events but purchases, and right.
    COALESCE(f.param_transaction_id, '') != ''
    OR NOT (COALESCE(f.ecommerce_transaction_id, '') IN ('', IF(f.event_name = 'purchase', '', '(not set)')))
    AS has_transaction_id,
    f.is_batch_unread
    AND COALESCE(f.batch_page_id, f.batch_ordering_id, f.batch_event_index) IS NOT NULL AS has_batch_params,
    r.stage_rank,
    f.same_params,
    f.same_items
  FROM flat AS f
  LEFT JOIN ranks AS r ON r.event_name = f.event_name
),

-- Ties of events whose batch fields are parameters: their place above does not know them.
tied AS (
  SELECT r.event_date, r.client, r.event_us
  FROM resolved AS r
  WHERE r.has_batch_params
  GROUP BY r.event_date, r.client, r.event_us
  HAVING COUNT(*) > 1
),

together AS (
  SELECT
    r.*,
    ROW_NUMBER() OVER (
      PARTITION BY r.event_date, r.client, r.event_us, r.event_name
      ORDER BY
        {{ by_batch('r' | identifier) }},
        {{ instant_order('r' | identifier) }}
    ) AS place_in_name,
    ROW_NUMBER() OVER (
      PARTITION BY {{ sameness('r' | identifier) }}
      ORDER BY
        {{ by_batch('r' | identifier) }},
        {{ instant_order('r' | identifier) }}
    ) AS copy,
    COUNT(*) OVER (PARTITION BY {{ sameness('r' | identifier) }}) AS copies
  FROM resolved AS r
  LEFT JOIN tied AS d ON d.event_date = r.event_date AND d.client = r.client AND d.event_us = r.event_us
  WHERE r.is_unclear OR d.client IS NOT NULL
),

single AS (
  SELECT r.*, COALESCE(p.place, 0) AS place, 1 AS copies, NOT r.has_batch_params AS is_ordered_by_batch
  FROM resolved AS r
  LEFT JOIN tied AS d ON d.event_date = r.event_date AND d.client = r.client AND d.event_us = r.event_us
  LEFT JOIN placed AS p
    ON p.event_date = r.event_date
    AND p.client = r.client
    AND p.event_us = r.event_us
    AND p.event_name = r.event_name
    AND p.place > 0
  WHERE NOT r.is_unclear AND d.client IS NULL
  UNION ALL
  -- Without a client nobody can tell whether two equal rows are one event.
  SELECT
    t.* EXCEPT (copy, copies, place_in_name),
    ROW_NUMBER() OVER (
      PARTITION BY t.event_date, t.client, t.event_us
      ORDER BY
        t.batch_page_id, t.batch_ordering_id, t.batch_event_index, t.stage_rank, t.event_name, t.place_in_name
    ) - 1 AS place,
    IF(t.client_key IS NULL, 1, t.copies) AS copies,
    TRUE AS is_ordered_by_batch
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
  s.session_engaged,
  s.engagement_msec,
  s.page_location,
  s.page_referrer,
  s.value,
  s.currency,
  s.value_in_usd,
  s.transaction_id,
  s.traffic_rule,
  s.traffic_source,
  s.traffic_medium,
  s.traffic_campaign,
  s.traffic_channel_group,
  s.click_id,
  s.gclid,
  s.gbraid,
  s.wbraid,
  s.fbclid,
  s.ignores_referrer,
  s.device_category,
  s.country,
  s.language,
  s.platform,
  s.app_version,
  s.page_host,
  s.item_count,
  s.items_value,
  s.is_debug,
  s.traffic_type,
  @is_provisional AS is_provisional,
  {% for field in ['batch_page_id', 'batch_ordering_id', 'batch_event_index'] %}
  IF(s.is_ordered_by_batch, s.{{ field | identifier }}, NULL) AS {{ field | identifier }},
  {% endfor %}
  {% for extra in carried %}
  s.{{ extra.column | identifier }},
  {% endfor %}
  IF(s.has_client_id AND s.client_key IS NULL, TRUE, NULL) AS placeholder_client_id,
  IF(s.has_user_id AND s.user_id IS NULL, TRUE, NULL) AS placeholder_user_id,
  IF(s.has_transaction_id AND s.transaction_id IS NULL, TRUE, NULL) AS placeholder_transaction_id,
  s.copies
FROM single AS s
