-- Occurrences of taxonomy entries among the changed days and the neighbouring days of the sessions they touch, and those
-- staged before whose session has another actor now.
-- An event yields one row for each entry it meets; a deprecated entry counts as its replacement.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: pair_events ARRAY<STRING>, pair_entries ARRAY<INT64>, counts_as ARRAY<STRING>, kinds ARRAY<STRING>,
--   stages ARRAY<STRING>, value_rules ARRAY<STRING>, fixed_values ARRAY<FLOAT64>,
--   text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64, first_moved DATE, last_moved DATE
-- structure: carried, conditions, merges, properties
{% from '_conditions.sql' import holds %}
{% from '_keys.sql' import key %}
{% from '_urls.sql' import path %}
{% set user %}CONCAT('u|', o.property, '|', o.user_id){% endset %}
{% set location %}o.page_location{% endset %}
{% macro subject(test) -%}
  {% if test.column is none %}{{ path(location) }}{% else %}o.{{ test.column | identifier }}{% endif %}
{%- endmacro %}
{% macro event_columns(row) -%}
  {{ row }}.property, {{ row }}.event_date, {{ row }}.event_at, {{ row }}.event_order, {{ row }}.event_name,
    {{ row }}.client_key, {{ row }}.session_key, {{ row }}.user_id, {{ row }}.page_location, {{ row }}.value,
    {{ row }}.currency, {{ row }}.value_in_usd, {{ row }}.transaction_id, {{ row }}.is_provisional
    {%- for extra in carried %}, {{ row }}.{{ extra.column | identifier }}{% endfor %}
{%- endmacro %}
WITH pairs AS (
  SELECT
    pair_event AS event_name,
    @pair_entries[OFFSET(place)] AS entry,
    @counts_as[OFFSET(place)] AS micro_conversion,
    @kinds[OFFSET(place)] AS kind,
    @stages[OFFSET(place)] AS stage,
    @value_rules[OFFSET(place)] AS value_rule,
    @fixed_values[OFFSET(place)] AS fixed_value
  FROM UNNEST(@pair_events) AS pair_event WITH OFFSET AS place
),

events AS (
  SELECT
    {{ event_columns('c' | identifier) }}
  FROM {{ relation('changed_events') }} AS c
  WHERE c.client_key IS NOT NULL
  UNION ALL
  SELECT
    {{ event_columns('n' | identifier) }}
  FROM {{ relation('neighbour_events') }} AS n
),

occurrences AS (
  SELECT o.*, p.entry, p.micro_conversion, p.kind, p.stage, p.value_rule, p.fixed_value
  FROM events AS o
  INNER JOIN pairs AS p ON p.event_name = o.event_name
  {% if conditions %}
  WHERE
    CASE p.entry
      {% for condition in conditions %}
      WHEN {{ condition.entry }} THEN
        {% for test in condition.tests %}
        {% if not loop.first %}AND {% endif %}{{ holds(subject(test), test) }}
        {% endfor %}
      {% endfor %}
      ELSE TRUE
    END
  {% endif %}
),

-- Many events share an address, and an address costs more to read than all else here.
pages AS (
  SELECT o.page_location, {{ path(location) }} AS page
  FROM occurrences AS o
  GROUP BY o.page_location
)

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
  o.is_provisional
  {%- for property_column in properties %}, o.{{ property_column | identifier }}{% endfor %}

FROM occurrences AS o
LEFT JOIN {{ relation('sessions') }} AS s ON s.session_key = o.session_key
LEFT JOIN pages AS p ON p.page_location = o.page_location
{% if merges %}
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY o.client_key, o.event_order, o.micro_conversion ORDER BY o.entry) = 1
{% endif %}
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
  m.is_provisional
  {%- for property_column in properties %}, m.{{ property_column | identifier }}{% endfor %}

FROM {{ relation('mc_micro_conversions') }} AS m
INNER JOIN {{ relation('moved_sessions') }} AS v ON v.session_key = m.session_key
WHERE m.event_date BETWEEN @first_moved AND @last_moved
