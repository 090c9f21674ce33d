-- Sessions of every client that the days just staged touch: rebuilt from their events, or taken over as they were.
-- Reads changed_events and neighbour_events (shaped like mc_events), touched_sessions (session_key, client_key) and
-- mc_sessions.
-- grain: session_key
-- params: key_events ARRAY<STRING>, key_pattern STRING, lookback_us INT64, category_sources ARRAY<STRING>,
--   category_names ARRAY<STRING>,
--   search_engines ARRAY<STRING>, engine_services STRING, own_hosts STRING, click_pattern STRING, click_ids ARRAY<STRING>, click_kinds ARRAY<STRING>,
--   click_sources ARRAY<STRING>, click_mediums ARRAY<STRING>, click_campaigns ARRAY<STRING>,
--   click_channel_groups ARRAY<STRING>, click_aliases ARRAY<STRING>, channel_name_<n> STRING,
--   channel_values_<n> ARRAY<STRING>, channel_pattern_<name> STRING, channel_fallback STRING
-- structure: channel_groups, has_key_pattern
{% from '_keys.sql' import key %}
{% from '_urls.sql' import host, path, unescape %}
{% from 'staging/_traffic.sql' import category_joins, category_of, channel_group, leads_here, said %}
{# Rows of events that belong to a session. Totals and hints each read their own columns: the rows of one CTE with two
   readers would be copied whole. #}
{% macro rows_of(relation_name, columns) %}
  SELECT
    {% for column in columns %}
    e.{{ column | identifier }}{% if not loop.last %},{% endif %}

    {% endfor %}
  FROM {{ relation(relation_name) }} AS e
  WHERE e.session_key IS NOT NULL
{%- endmacro %}
{% set counted = [
  'property', 'event_date', 'event_at', 'event_order', 'event_name', 'client_key', 'session_key', 'user_id',
  'user_pseudo_id', 'ga_session_id', 'session_number', 'session_engaged', 'engagement_msec', 'page_location',
  'device_category', 'country', 'language', 'ignores_referrer', 'is_provisional'
] %}
{% set hinting = [
  'session_key', 'event_order', 'traffic_rule', 'traffic_source', 'traffic_medium', 'traffic_campaign',
  'traffic_channel_group', 'click_id', 'ignores_referrer', 'page_location', 'page_referrer'
] %}
{% set may_hint %}
(
      e.traffic_rule IS NOT NULL
      OR e.click_id IS NOT NULL
      OR e.page_referrer IS NOT NULL
      OR STRPOS(e.page_location, '?') > 0
    )
{%- endset %}
{# Columns of a session that its own events decide, traffic aside; and its actor, once that is decided. #}
{% macro session_columns(s, actor=none) %}
    {{ s }}.property,
    {{ s }}.session_date,
    {{ s }}.last_event_date,
    {{ s }}.session_key,
    {{ s }}.client_key,
    {% if actor is not none %}
    {{ actor }} AS actor_key,
    {% endif %}
    {{ s }}.user_id,
    {{ s }}.user_pseudo_id,
    {{ s }}.ga_session_id,
    {{ s }}.session_number,
    {{ s }}.started_at,
    {{ s }}.ended_at,
    {{ s }}.events,
    {{ s }}.page_views,
    {{ s }}.key_events,
    {{ s }}.engagement_msec,
    {{ s }}.is_engaged,
    {{ s }}.landing_page,
    {{ s }}.device_category,
    {{ s }}.country,
    {{ s }}.language,
    {{ s }}.self_referrer
{%- endmacro %}
{# The value of the first event that has one. #}
{% macro first_known(column) -%}
  ANY_VALUE({{ column }} HAVING MIN IF({{ column }} IS NULL, NULL, e.event_order))
{%- endmacro %}
{% set user %}CONCAT('u|', o.property, '|', COALESCE(o.user_id, u.user_id)){% endset %}
{% set actor %}COALESCE({{ key(user) }}, o.client_key){% endset %}
{% set decided_actor %}f.actor_key{% endset %}
{# Text in lower case where GA4 read it from the referrer. #}
{% set referral_medium %}LOWER(h.medium) IN ('referral', 'organic'){% endset %}
{# Whether an event is of the first page of its session `t`: of the same address, query and fragment aside, and up to the
   first page view. #}
{% macro is_of_first_page(order) -%}
(t.first_view_order IS NULL OR {{ order }} < DIV(t.first_view_order, 1000) * 1000 + 1000)
{%- endmacro %}
{% set bare_page %}REGEXP_REPLACE(v.page_location, r'[?#](?s:.*)$', ''){% endset %}
{% set bare_landing %}REGEXP_REPLACE(t.landing_location, r'[?#](?s:.*)$', ''){% endset %}
{% set plain_source %}REGEXP_REPLACE(LOWER(b.source), r'^www\.', ''){% endset %}
{% set utm_source %}REGEXP_EXTRACT(a.tagged_location, r'[?&]utm_source=([^&#]*)'){% endset %}
{% set utm_medium %}REGEXP_EXTRACT(a.tagged_location, r'[?&]utm_medium=([^&#]*)'){% endset %}
{% set utm_campaign %}REGEXP_EXTRACT(a.tagged_location, r'[?&]utm_campaign=([^&#]*)'){% endset %}
WITH source_categories AS (
  SELECT source, @category_names[ORDINAL(place + 1)] AS category
  FROM UNNEST(@category_sources) AS source WITH OFFSET AS place
),

engines AS (
  SELECT engine
  FROM UNNEST(@search_engines) AS engine
),

platforms AS (
  SELECT
    click_id,
    @click_kinds[ORDINAL(place + 1)] AS kind,
    @click_sources[ORDINAL(place + 1)] AS source,
    @click_mediums[ORDINAL(place + 1)] AS medium,
    NULLIF(@click_campaigns[ORDINAL(place + 1)], '') AS campaign,
    NULLIF(@click_channel_groups[ORDINAL(place + 1)], '') AS channel_group,
    CONCAT('|', @click_aliases[ORDINAL(place + 1)], '|') AS aliases
  FROM UNNEST(@click_ids) AS click_id WITH OFFSET AS place
),

session_events AS (
{{ rows_of('changed_events', counted) }}
  UNION ALL
{{ rows_of('neighbour_events', counted) }}
),

totals AS (
  SELECT
    ANY_VALUE(e.property) AS property,
    MIN(e.event_date) AS session_date,
    MAX(e.event_date) AS last_event_date,
    e.session_key,
    ANY_VALUE(e.client_key) AS client_key,
    {{ first_known('e.user_id' | identifier) }} AS user_id,
    ANY_VALUE(e.user_pseudo_id) AS user_pseudo_id,
    ANY_VALUE(e.ga_session_id) AS ga_session_id,
    {{ first_known('e.session_number' | identifier) }} AS session_number,
    MIN(e.event_at) AS started_at,
    MAX(e.event_at) AS ended_at,
    COUNT(*) AS events,
    COUNTIF(e.event_name IN ('page_view', 'screen_view')) AS page_views,
    COUNTIF(
      e.event_name IN UNNEST(@key_events)
      {%- if has_key_pattern %} OR REGEXP_CONTAINS(e.event_name, @key_pattern){% endif %}

    ) AS key_events,
    COALESCE(SUM(e.engagement_msec), 0) AS engagement_msec,
    LOGICAL_OR(COALESCE(e.session_engaged, FALSE)) AS session_engaged,
    {{ first_known('e.page_location' | identifier) }} AS landing_location,
    {{ first_known('e.device_category' | identifier) }} AS device_category,
    {{ first_known('e.country' | identifier) }} AS country,
    {{ first_known('e.language' | identifier) }} AS language,
    MIN(IF(e.event_name IN ('page_view', 'screen_view'), e.event_order, NULL)) AS first_view_order,
    MIN(IF(e.ignores_referrer, e.event_order, NULL)) AS first_ignored_order,
    LOGICAL_OR(e.is_provisional) AS is_provisional
  FROM session_events AS e
  GROUP BY e.session_key
),

-- The few events that may say where the session came from.
hint_events AS (
{{ rows_of('changed_events', hinting) }}
    AND {{ may_hint }}
  UNION ALL
{{ rows_of('neighbour_events', hinting) }}
    AND {{ may_hint }}
),

hints AS (
  SELECT
    e.session_key,
    e.event_order,
    e.traffic_rule,
    {{ said('e.traffic_source' | identifier) }} AS source,
    {{ said('e.traffic_medium' | identifier) }} AS medium,
    {{ said('e.traffic_campaign' | identifier) }} AS campaign,
    e.traffic_channel_group AS channel_group,
    e.click_id,
    COALESCE(e.ignores_referrer, FALSE) AS ignores_referrer,
    e.page_location,
    e.page_referrer
  FROM hint_events AS e
),

-- What cannot be a source is none: the property's own pages, and a referrer of which the event says so itself. Then the
-- next statement of the same event is asked.
served AS (
  SELECT
    h.session_key,
    h.event_order,
    CASE
      WHEN LOWER(h.medium) = 'referral' AND REGEXP_CONTAINS(LOWER(h.source), @own_hosts) THEN NULL
      WHEN h.traffic_rule = 'event_params' AND h.ignores_referrer AND {{ referral_medium }} THEN NULL
      WHEN h.traffic_rule = 'ga4_last_click' THEN IF(COALESCE(h.source, h.medium) IS NULL, NULL, h.traffic_rule)
      WHEN {{ leads_here('h.source' | identifier, 'h.medium' | identifier) }} THEN h.traffic_rule
    END AS rule,
    h.source,
    h.medium,
    h.campaign,
    h.channel_group,
    h.click_id,
    -- GA4 read this from the referrer, unless the address has tags.
    h.traffic_rule = 'event_params' AND COALESCE({{ referral_medium }}, FALSE)
      AND COALESCE(STRPOS(h.page_location, 'utm_') = 0, TRUE) AS is_read_from_referrer,
    IF(
      LOWER(h.medium) = 'referral' AND NOT h.ignores_referrer AND REGEXP_CONTAINS(LOWER(h.source), @own_hosts),
      LOWER(h.source), NULL
    ) AS self_referrer,
    h.page_location,
    IF(h.ignores_referrer, NULL, h.page_referrer) AS page_referrer
  FROM hints AS h
),

-- Addresses cost more to read than all else here, so each is kept only where it can still decide. A referrer that
-- starts with the origin of its own page is internal, and most are.
readable AS (
  SELECT
    s.session_key,
    s.event_order,
    s.rule,
    s.source,
    s.medium,
    s.campaign,
    IF(s.rule = 'ga4_last_click', s.channel_group, NULL) AS channel_group,
    IF(s.rule = 'ga4_last_click', NULL, s.click_id) AS click_id,
    s.is_read_from_referrer,
    s.self_referrer,
    IF(
      COALESCE(s.rule, '') != 'ga4_last_click' AND STRPOS(s.page_location, '?') > 0, s.page_location, NULL
    ) AS query_location,
    IF(s.rule IS NULL AND STRPOS(s.page_location, 'utm_') > 0, s.page_location, NULL) AS tagged_location,
    s.page_location,
    IF(
      s.rule IS NULL AND s.page_referrer IS NOT NULL AND NOT (
        STRPOS(SUBSTR(s.page_location, 9), '/') > 0
        AND STARTS_WITH(s.page_referrer, SUBSTR(s.page_location, 1, STRPOS(SUBSTR(s.page_location, 9), '/') + 8))
      ),
      s.page_referrer, NULL
    ) AS page_referrer
  FROM served AS s
),

-- The last click id of an address is the latest: each platform appends its own to the link that it was given.
parsed AS (
  SELECT
    a.session_key,
    a.event_order,
    a.rule,
    a.source,
    a.medium,
    a.campaign,
    a.channel_group,
    {{ said(unescape(utm_source)) }} AS utm_source,
    {{ said(unescape(utm_medium)) }} AS utm_medium,
    {{ said(unescape(utm_campaign)) }} AS utm_campaign,
    IF(
      REGEXP_CONTAINS(a.query_location, @click_pattern),
      REGEXP_REPLACE(a.query_location, @click_pattern, r'\1'), a.click_id
    ) AS click_id,
    a.is_read_from_referrer,
    a.self_referrer,
    a.page_location,
    {{ host('a.page_referrer' | identifier) }} AS referrer_host,
    IF(a.page_referrer IS NULL, NULL, {{ host('a.page_location' | identifier) }}) AS page_host
  FROM readable AS a
),

-- One tag for each event: what GA4 read from it, else the UTM tags of its address.
tagged AS (
  SELECT
    p.session_key,
    p.event_order,
    COALESCE(
      p.rule, IF({{ leads_here('p.utm_source' | identifier, 'p.utm_medium' | identifier) }}, 'utm', NULL)
    ) AS rule,
    IF(p.rule IS NULL, p.utm_source, p.source) AS source,
    IF(p.rule IS NULL, p.utm_medium, p.medium) AS medium,
    IF(p.rule IS NULL, p.utm_campaign, p.campaign) AS campaign,
    p.channel_group,
    p.click_id,
    p.is_read_from_referrer,
    p.page_location,
    COALESCE(
      p.self_referrer,
      IF(p.referrer_host != p.page_host AND REGEXP_CONTAINS(p.referrer_host, @own_hosts), p.referrer_host, NULL)
    ) AS self_referrer,
    IF(
      p.page_host IS NULL OR p.referrer_host = p.page_host OR REGEXP_CONTAINS(p.referrer_host, @own_hosts),
      NULL, p.referrer_host
    ) AS referrer_host
  FROM parsed AS p
),

-- A tag that names the click's own platform keeps its medium and campaign. Not one that calls a paid click organic: a
-- known mistake of GA4 where Google Ads is not linked.
clicked AS (
  SELECT
    t.session_key,
    t.event_order,
    t.rule,
    t.source,
    t.medium,
    t.campaign,
    t.channel_group,
    t.is_read_from_referrer,
    t.page_location,
    t.self_referrer,
    t.referrer_host,
    k.kind AS click_kind,
    k.source AS click_source,
    k.medium AS click_medium,
    k.campaign AS click_campaign,
    k.channel_group AS click_channel_group,
    COALESCE(STRPOS(k.aliases, CONCAT('|', LOWER(t.source), '|')) > 0, FALSE)
      AND NOT (k.kind = 'paid' AND COALESCE(t.medium, '') IN ('organic', 'referral', '(none)')) AS tag_agrees
  FROM tagged AS t
  LEFT JOIN platforms AS k ON k.click_id = t.click_id
),

evidence AS (
  SELECT
    c.session_key,
    c.event_order,
    CASE
      WHEN c.click_kind IS NOT NULL THEN 'click_id'
      WHEN c.rule = 'ga4_campaign' THEN 'ga4_last_click'
      WHEN c.rule IS NOT NULL THEN c.rule
      WHEN c.referrer_host IS NOT NULL THEN 'referrer'
      ELSE 'self_referral'
    END AS rule,
    c.click_kind IS NULL AND (c.rule IS NULL OR (c.rule = 'event_params' AND c.is_read_from_referrer)) AS is_referral,
    c.page_location,
    c.self_referrer,
    CASE
      WHEN c.tag_agrees AND c.click_kind = 'unknown' THEN c.source
      WHEN c.click_kind IS NOT NULL THEN c.click_source
      WHEN c.rule IS NOT NULL THEN c.source
      ELSE c.referrer_host
    END AS source,
    CASE
      WHEN c.click_kind IS NULL THEN IF(c.rule IS NULL, NULL, c.medium)
      WHEN c.tag_agrees OR (c.rule IS NOT NULL AND c.click_kind = 'unknown') THEN COALESCE(c.medium, c.click_medium)
      ELSE c.click_medium
    END AS medium,
    CASE
      WHEN c.click_kind IS NULL THEN IF(c.rule IS NULL, NULL, c.campaign)
      WHEN c.tag_agrees OR (c.rule IS NOT NULL AND c.click_kind = 'unknown') THEN COALESCE(c.campaign, c.click_campaign)
      ELSE c.click_campaign
    END AS campaign,
    IF(c.click_kind IS NULL OR c.tag_agrees, c.channel_group, c.click_channel_group) AS channel_group
  FROM clicked AS c
  WHERE COALESCE(c.click_kind, c.rule, c.referrer_host, c.self_referrer) IS NOT NULL
),

-- A referrer is where a session came from on its first page alone: who comes back from a payment page half-way came from
-- somewhere else. One event that says that its referrer is not a source speaks for its page.
valid_evidence AS (
  SELECT
    v.session_key,
    v.event_order,
    v.rule,
    v.source,
    v.medium,
    v.campaign,
    v.channel_group,
    v.self_referrer
  FROM evidence AS v
  INNER JOIN totals AS t ON t.session_key = v.session_key
  WHERE
    NOT v.is_referral
    OR (
      {{ is_of_first_page('v.event_order' | identifier) }}
      AND COALESCE(v.page_location = t.landing_location OR {{ bare_page }} = {{ bare_landing }}, TRUE)
      AND NOT (t.first_ignored_order IS NOT NULL AND {{ is_of_first_page('t.first_ignored_order' | identifier) }})
    )
),

firsts AS (
  SELECT
    v.session_key,
    v.rule,
    MIN(v.event_order) AS event_order,
    ANY_VALUE(
      STRUCT(v.source AS source, v.medium AS medium, v.campaign AS campaign, v.channel_group AS channel_group)
      HAVING MIN v.event_order
    ) AS traffic,
    MIN(v.self_referrer) AS first_self_referrer,
    MAX(v.self_referrer) AS last_self_referrer
  FROM valid_evidence AS v
  GROUP BY v.session_key, v.rule
),

-- A click id stands above the tags, but only where no tag came before it in the session.
ranked AS (
  SELECT
    f.session_key,
    f.rule,
    f.traffic,
    f.first_self_referrer,
    f.last_self_referrer,
    CASE f.rule
      WHEN 'ga4_last_click' THEN 1
      WHEN 'click_id' THEN IF(
        MIN(IF(f.rule IN ('collected', 'event_params', 'utm'), f.event_order, NULL)) OVER (PARTITION BY f.session_key)
        < f.event_order, 6, 2
      )
      WHEN 'collected' THEN 3
      WHEN 'event_params' THEN 4
      WHEN 'utm' THEN 5
      WHEN 'referrer' THEN 7
      ELSE 8
    END AS place
  FROM firsts AS f
),

decided AS (
  SELECT
    r.session_key,
    NULLIF(ANY_VALUE(r.rule HAVING MIN r.place), 'self_referral') AS rule,
    ANY_VALUE(r.traffic HAVING MIN r.place) AS traffic,
    MIN(r.first_self_referrer) AS first_self_referrer,
    MAX(r.last_self_referrer) AS last_self_referrer
  FROM ranked AS r
  GROUP BY r.session_key
),

referrers AS (
  SELECT DISTINCT d.traffic.source AS host
  FROM decided AS d
  WHERE d.rule = 'referrer'
),

-- GA4 names a search engine by its name, whatever the country and service of its domain: google.co.uk and
-- images.google.com are "google". A host that is listed itself keeps its name.
referrer_sources AS (
  SELECT
    r.host,
    COALESCE(
      IF(
        {{ category_of() }} = 'search' AND (c.category IS NULL OR STARTS_WITH(r.host, CONCAT(n.engine, '.'))),
        n.engine, NULL
      ), r.host
    ) AS source,
    IF({{ category_of() }} = 'search', 'organic', 'referral') AS medium
  FROM referrers AS r
{{ category_joins('r.host' | identifier) }}
),

rebuilt AS (
  SELECT
    t.property,
    t.session_date,
    t.last_event_date,
    t.session_key,
    t.client_key,
    t.user_id,
    t.user_pseudo_id,
    t.ga_session_id,
    t.session_number,
    t.started_at,
    t.ended_at,
    t.events,
    t.page_views,
    t.key_events,
    t.engagement_msec,
    t.engagement_msec > 10000 OR t.key_events > 0 OR t.page_views >= 2 OR t.session_engaged AS is_engaged,
    {{ path('t.landing_location' | identifier) }} AS landing_page,
    t.device_category,
    t.country,
    t.language,
    IF(
      d.first_self_referrer = d.last_self_referrer,
      d.first_self_referrer, CONCAT(d.first_self_referrer, ' ', d.last_self_referrer)
    ) AS self_referrer,
    IF(d.rule IS NULL, NULL, COALESCE(r.source, d.traffic.source, '(not set)')) AS source,
    IF(d.rule IS NULL, NULL, COALESCE(r.medium, d.traffic.medium, '(not set)')) AS medium,
    IF(d.rule IS NULL, NULL, COALESCE(CONCAT('(', r.medium, ')'), d.traffic.campaign, '(not set)')) AS campaign,
    IF(d.rule IS NULL, NULL, d.traffic.channel_group) AS channel_group,
    d.rule AS source_rule,
    t.is_provisional
  FROM totals AS t
  LEFT JOIN decided AS d ON d.session_key = t.session_key
  LEFT JOIN referrer_sources AS r ON r.host = IF(d.rule = 'referrer', d.traffic.source, NULL)
),

clients AS (
  SELECT DISTINCT t.client_key
  FROM {{ relation('touched_sessions') }} AS t
),

-- The other sessions of these clients, with only the traffic that is their own: what they took from others is decided
-- anew.
kept AS (
  SELECT
{{ session_columns('m' | identifier) }},
    IF(m.source_rule IN ('last_non_direct', 'direct'), NULL, m.source) AS source,
    IF(m.source_rule IN ('last_non_direct', 'direct'), NULL, m.medium) AS medium,
    IF(m.source_rule IN ('last_non_direct', 'direct'), NULL, m.campaign) AS campaign,
    IF(m.source_rule IN ('last_non_direct', 'direct'), NULL, m.channel_group) AS channel_group,
    IF(m.source_rule IN ('last_non_direct', 'direct'), NULL, m.source_rule) AS source_rule,
    m.is_provisional
  FROM {{ relation('mc_sessions') }} AS m
  INNER JOIN clients AS c ON c.client_key = m.client_key
  LEFT JOIN {{ relation('touched_sessions') }} AS t ON t.session_key = m.session_key
  WHERE t.session_key IS NULL
),

own AS (
  SELECT
{{ session_columns('r' | identifier) }},
    r.source,
    r.medium,
    r.campaign,
    r.channel_group,
    r.source_rule,
    r.is_provisional
  FROM rebuilt AS r
  UNION ALL
  SELECT
{{ session_columns('k' | identifier) }},
    k.source,
    k.medium,
    k.campaign,
    k.channel_group,
    k.source_rule,
    k.is_provisional
  FROM kept AS k
),

earlier AS (
  SELECT
    o.session_key,
    o.started_at,
    o.source_rule,
    LAST_VALUE(
      IF({{ leads_here('o.source' | identifier, 'o.medium' | identifier) }}, o.session_key, NULL) IGNORE NULLS
    ) OVER (
      PARTITION BY o.client_key
      ORDER BY o.started_at, o.ga_session_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS earlier_key
  FROM own AS o
),

looked_back AS (
  SELECT e.session_key, o.source, o.medium, o.campaign, o.channel_group
  FROM earlier AS e
  INNER JOIN own AS o ON o.session_key = e.earlier_key
  WHERE e.source_rule IS NULL
    AND UNIX_MICROS(e.started_at) - UNIX_MICROS(o.started_at) <= @lookback_us
),

-- A client on which one user alone ever signed in is that user's, before the sign-in too; a shared one is nobody's.
users AS (
  SELECT o.client_key, MIN(o.user_id) AS user_id
  FROM own AS o
  WHERE o.user_id IS NOT NULL
  GROUP BY o.client_key
  HAVING COUNT(DISTINCT o.user_id) = 1
),

filled AS (
  SELECT
{{ session_columns('o' | identifier, actor) }},
    COALESCE(o.source, l.source, '(direct)') AS source,
    COALESCE(o.medium, l.medium, '(none)') AS medium,
    COALESCE(o.campaign, l.campaign, '(direct)') AS campaign,
    COALESCE(o.channel_group, l.channel_group) AS channel_group,
    COALESCE(o.source_rule, IF(l.session_key IS NULL, 'direct', 'last_non_direct')) AS source_rule,
    o.is_provisional
  FROM own AS o
  LEFT JOIN looked_back AS l ON l.session_key = o.session_key
  LEFT JOIN users AS u ON u.client_key = o.client_key
),

-- The rules read each combination once, not each session.
combinations AS (
  SELECT DISTINCT f.source, f.medium, f.campaign
  FROM filled AS f
  WHERE f.channel_group IS NULL
),

described AS (
  SELECT
    b.source AS raw_source,
    b.medium AS raw_medium,
    b.campaign AS raw_campaign,
    LOWER(b.source) AS source,
    LOWER(b.medium) AS medium,
    LOWER(b.campaign) AS campaign,
    COALESCE({{ category_of() }}, '') AS category
  FROM combinations AS b
{{ category_joins(plain_source) }}
),

channels AS (
  SELECT
    d.raw_source,
    d.raw_medium,
    d.raw_campaign,
    {{ channel_group(channel_groups, 'd' | identifier) }} AS channel_group
  FROM described AS d
)

SELECT
{{ session_columns('f' | identifier, decided_actor) }},
  f.source,
  f.medium,
  f.campaign,
  COALESCE(f.channel_group, g.channel_group) AS channel_group,
  f.source_rule,
  f.is_provisional
FROM filled AS f
LEFT JOIN channels AS g
  ON g.raw_source = f.source AND g.raw_medium = f.medium AND g.raw_campaign = f.campaign
