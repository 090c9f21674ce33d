-- Occurrences of taxonomy entries among the changed days and the neighbouring days of the sessions they touch, and those
-- staged before whose session has another actor now. Derived ones are made anew, of these.
-- An event yields one row for each entry it meets; a deprecated entry counts as its replacement. Repeats that `collapse`
-- takes for one are the first of them; `copies` says how many they are.
-- Conditions are asked by group: of entries that look at the same columns, once for each distinct set of values there.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: pair_events ARRAY<STRING>, pair_entries ARRAY<INT64>, pair_groups ARRAY<INT64>, first_pattern INT64,
--   counts_as ARRAY<STRING>, kinds ARRAY<STRING>, stages ARRAY<STRING>, value_rules ARRAY<STRING>,
--   fixed_values ARRAY<FLOAT64>, collapses_us ARRAY<INT64>, text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64,
--   numbers_<n> ARRAY<FLOAT64>, first_moved DATE, last_moved DATE
-- structure: carried, groups, has_patterns, merges, collapses, properties, staged
{% from '_conditions.sql' import holds %}
{% from '_keys.sql' import key %}
{% from '_urls.sql' import path, unescape %}
{% set user %}CONCAT('u|', o.property, '|', o.user_id){% endset %}
{% set location %}o.page_location{% endset %}
{% set address %}v.page_location{% endset %}
{# Whether a clause holds: a condition, all of several, any of several, or one that does not. #}
{% macro meets(test) -%}
  {% if test.criterion is defined %}{{ holds(('s.' ~ test.criterion.column) | identifier, test.criterion) }}
  {%- elif test.all is defined %}({% for each in test.all %}{% if not loop.first %} AND {% endif %}{{ meets(each) }}{% endfor %})
  {%- elif test.any is defined %}({% for each in test.any %}{% if not loop.first %} OR {% endif %}{{ meets(each) }}{% endfor %})
  {%- else %}NOT COALESCE({{ meets(test.not[0]) }}, FALSE)
  {%- endif %}
{%- endmacro %}
{% macro subject(one) -%}
  {% if one.part == 'path' %}{{ path(address) }}
  {%- elif one.part == 'query' %}{{ unescape(('v.' ~ one.name ~ '_raw') | identifier) }}
  {%- else %}{{ ('v.' ~ one.column) | identifier }}
  {%- endif %}
{%- endmacro %}
{# What conditions alone look at, of what events always have. #}
{% set asked_columns = groups | map(attribute='columns') | sum(start=[]) | map(attribute='column')
  | select('in', ['app_version', 'page_host', 'platform']) | unique | list %}
{% macro event_columns(row) -%}
  {{ row }}.property, {{ row }}.event_date, {{ row }}.event_at, {{ row }}.event_order, {{ row }}.event_name,
    {{ row }}.client_key, {{ row }}.session_key, {{ row }}.user_id, {{ row }}.stream_id, {{ row }}.page_location,
    {{ row }}.value, {{ row }}.currency, {{ row }}.value_in_usd, {{ row }}.transaction_id, {{ row }}.is_provisional,
    {{ row }}.engagement_msec
    {%- for column in asked_columns %}, {{ row }}.{{ column | identifier }}{% endfor %}
    {%- for extra in carried %}, {{ row }}.{{ extra.column | identifier }}{% endfor %}
{%- endmacro %}
{# Events of the batch, with all that occurrences need, or with the name and these columns. #}
{% macro events_of_batch(columns=none) %}
(
    {% for row, table in [('c', 'changed_events'), ('n', 'neighbour_events')] %}
    {% if not loop.first %}
    UNION ALL
    {% endif %}
    SELECT
      {% if columns is none %}{{ event_columns(row | identifier) }}{% else -%}
      {{ (row ~ '.event_name') | identifier }}
      {%- for each in columns %}, {{ (row ~ '.' ~ each.column) | identifier }}{% endfor %}{% endif %}

    FROM {{ relation(table) }} AS {{ row | identifier }}
    WHERE {{ (row ~ '.client_key') | identifier }} IS NOT NULL
    {% endfor %}
  )
{%- endmacro %}
{% macro entry_columns(row) -%}
  {{ row }}.entry, {{ row }}.micro_conversion, {{ row }}.kind, {{ row }}.stage, {{ row }}.value_rule, {{ row }}.fixed_value,
    {{ row }}.collapse_us
{%- endmacro %}
{# Whether two rows have one value, or none, in a column. #}
{% macro same(one, other, each) -%}
  COALESCE({{ (one ~ '.' ~ each.column) | identifier }}, {% if each.is_number %}0{% else %}''{% endif %}) =
      COALESCE({{ (other ~ '.' ~ each.column) | identifier }}, {% if each.is_number %}0{% else %}''{% endif %})
    AND ({{ (one ~ '.' ~ each.column) | identifier }} IS NULL) = ({{ (other ~ '.' ~ each.column) | identifier }} IS NULL)
{%- endmacro %}
{# What repeats of one act share. Two transactions are never one act, however fast they follow each other. #}
{% macro act(row) -%}
  {{ row }}.micro_conversion, {{ row }}.client_key, {{ row }}.session_key,
        IF({{ row }}.session_key IS NULL, {{ row }}.event_date, NULL), {{ row }}.page, {{ row }}.transaction_id
{%- endmacro %}
{% set met = 'distinct_occurrences' if merges else 'occurrences' %}
{% set counted = 'acts' if collapses else met %}
WITH listed AS (
  SELECT
    pair_event,
    place,
    @pair_entries[OFFSET(place)] AS entry,
    {% if groups %}
    @pair_groups[OFFSET(place)] AS condition_group,
    {% endif %}
    @counts_as[OFFSET(place)] AS micro_conversion,
    @kinds[OFFSET(place)] AS kind,
    @stages[OFFSET(place)] AS stage,
    @value_rules[OFFSET(place)] AS value_rule,
    @fixed_values[OFFSET(place)] AS fixed_value,
    {% if collapses %}@collapses_us[OFFSET(place)]{% else %}0{% endif %} AS collapse_us
  FROM UNNEST(@pair_events) AS pair_event WITH OFFSET AS place
),

pairs AS (
  SELECT l.pair_event AS event_name, l.*
  FROM listed AS l
  {% if has_patterns %}
  WHERE l.place < @first_pattern
  UNION ALL
  -- A pattern is held against each name once, not against each event.
  SELECT n.event_name, l.*
  FROM (SELECT DISTINCT e.event_name FROM {{ events_of_batch([]) }} AS e) AS n
  CROSS JOIN listed AS l
  WHERE l.place >= @first_pattern AND REGEXP_CONTAINS(n.event_name, l.pair_event)
  {% endif %}
),

{% for group in groups %}
{% set number = loop.index %}
{{ ('values_' ~ number) | identifier }} AS (
  SELECT DISTINCT
    e.event_name
    {%- for each in group.columns %}, {{ ('e.' ~ each.column) | identifier }}{% endfor %}

  FROM {{ events_of_batch(group.columns) }} AS e
  WHERE e.event_name IN (SELECT p.event_name FROM pairs AS p WHERE p.condition_group = {{ number }})
),

{% if group.subjects | selectattr('part', 'equalto', 'query') | list %}
{{ ('queries_' ~ number) | identifier }} AS (
  SELECT
    v.*
    {%- for one in group.subjects if one.part == 'query' %},
    IF(
      REGEXP_CONTAINS({{ address }}, {{ parameter('text_', one.number) }}),
      REGEXP_REPLACE({{ address }}, {{ parameter('text_', one.number) }}, r'\1'),
      NULL
    ) AS {{ (one.name ~ '_raw') | identifier }}
    {%- endfor %}

  FROM {{ ('values_' ~ number) | identifier }} AS v
),

{% endif %}
{{ ('subjects_' ~ number) | identifier }} AS (
  SELECT
    v.*
    {%- for one in group.subjects %},
    {{ subject(one) }} AS {{ one.name | identifier }}
    {%- endfor %}

  FROM {% if group.subjects | selectattr('part', 'equalto', 'query') | list -%}
  {{ ('queries_' ~ number) | identifier }}{% else %}{{ ('values_' ~ number) | identifier }}{% endif %} AS v
),

{{ ('matches_' ~ number) | identifier }} AS (
  SELECT
    s.event_name
    {%- for each in group.columns %}, {{ ('s.' ~ each.column) | identifier }}{% endfor %},
    {{ entry_columns('p' | identifier) }}
  FROM {{ ('subjects_' ~ number) | identifier }} AS s
  INNER JOIN pairs AS p ON p.event_name = s.event_name
  WHERE
    p.condition_group = {{ number }}
    AND CASE
      {% for chunk in group.chunks %}
      WHEN p.entry <= {{ chunk[-1].entry }} THEN
        CASE p.entry
          {% for each in chunk %}
          WHEN {{ each.entry }} THEN {{ meets(each.test) }}
          {% endfor %}
        END
      {% endfor %}
    END
),

{% endfor %}
occurrences AS (
  SELECT o.*, {{ entry_columns('p' | identifier) }}
  FROM {{ events_of_batch() }} AS o
  INNER JOIN pairs AS p ON p.event_name = o.event_name
  {% if groups %}
  WHERE p.condition_group = 0
  {% endif %}
  {% for group in groups %}
  UNION ALL
  SELECT o.*, {{ entry_columns('m' | identifier) }}
  FROM {{ events_of_batch() }} AS o
  INNER JOIN {{ ('matches_' ~ loop.index) | identifier }} AS m
    ON m.event_name = o.event_name
    {% for each in group.columns %}
    AND {{ same('m', 'o', each) }}
    {% endfor %}
  {% endfor %}
),

{% if merges %}
-- An event that meets an entry and its replacement is one occurrence.
distinct_occurrences AS (
  SELECT o.*
  FROM occurrences AS o
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY o.client_key, o.event_order, o.micro_conversion ORDER BY o.entry) = 1
),

{% endif %}
-- Many events share an address, and an address costs more to read than all else here.
pages AS (
  SELECT o.page_location, {{ path(location) }} AS page
  FROM occurrences AS o
  GROUP BY o.page_location
)
{%- if collapses %}
,

repeatable AS (
  SELECT o.*, p.page
  FROM {{ met | identifier }} AS o
  LEFT JOIN pages AS p ON p.page_location = o.page_location
  WHERE o.collapse_us > 0
),

repeats AS (
  SELECT
    o.*,
    UNIX_MICROS(o.event_at) - LAG(UNIX_MICROS(o.event_at)) OVER (
      PARTITION BY {{ act('o' | identifier) }}
      ORDER BY o.event_order
    ) AS gap_us,
    ROW_NUMBER() OVER (
      PARTITION BY {{ act('o' | identifier) }}
      ORDER BY o.event_order
    ) AS place,
    COUNT(*) OVER (
      PARTITION BY {{ act('o' | identifier) }}
    ) AS places
  FROM repeatable AS o
),

-- The first event of each act; up to the first of the next one, all are its copies.
first_events AS (
  SELECT
    o.*,
    COALESCE(LEAD(o.place) OVER (
      PARTITION BY {{ act('o' | identifier) }}
      ORDER BY o.event_order
    ), o.places + 1) - o.place AS copies
  FROM repeats AS o
  WHERE o.gap_us IS NULL OR o.gap_us > o.collapse_us
),

acts AS (
  SELECT o.*, 1 AS copies
  FROM {{ met | identifier }} AS o
  WHERE o.collapse_us = 0
  UNION ALL
  SELECT o.* EXCEPT (page, gap_us, place, places)
  FROM first_events AS o
)
{%- endif %}


-- The event's own user comes first: somebody else may have signed in earlier in its session.
SELECT
  o.property,
  o.event_date,
  o.event_at,
  o.event_order,
  o.micro_conversion,
  o.kind,
  o.stage,
  o.client_key,
  COALESCE({{ key(user) }}, s.actor_key, o.client_key) AS actor_key,
  o.session_key,
  CASE o.value_rule WHEN 'event' THEN o.value WHEN 'fixed' THEN o.fixed_value END AS value,
  IF(o.value_rule = 'event', o.currency, NULL) AS currency,
  IF(o.value_rule = 'event', o.value_in_usd, NULL) AS value_in_usd,
  o.transaction_id,
  p.page,
  o.is_provisional,
  {% if collapses %}o.copies{% else %}1 AS copies{% endif %},
  o.engagement_msec,
  FALSE AS is_derived
  {%- for property_column in properties %}, o.{{ property_column | identifier }}{% endfor %}

FROM {{ counted | identifier }} AS o
LEFT JOIN {{ relation('sessions') }} AS s ON s.session_key = o.session_key
LEFT JOIN pages AS p ON p.page_location = o.page_location
UNION ALL
SELECT
  m.property,
  m.event_date,
  m.event_at,
  m.event_order,
  m.micro_conversion,
  m.kind,
  m.stage,
  m.client_key,
  v.actor_key,
  m.session_key,
  m.value,
  m.currency,
  m.value_in_usd,
  m.transaction_id,
  m.page,
  m.is_provisional,
  m.copies,
  m.engagement_msec,
  FALSE AS is_derived
  {%- for property_column in properties %}, m.{{ property_column | identifier }}{% endfor %}

FROM {{ relation(staged) }} AS m
INNER JOIN {{ relation('moved_sessions') }} AS v ON v.session_key = m.session_key
WHERE m.event_date BETWEEN @first_moved AND @last_moved AND NOT COALESCE(m.is_derived, FALSE)
