{# The journeys of units (sessions or actors) and the nodes they are made of; import `with context`. It reads:
   `count`: 'sessions' or 'actors';
   `nodes`: 'micro_conversion' or 'page';
   `point`: 'micro_conversion', 'page', or none where a journey begins with the unit's first node;
   `leads`: 'to' or 'from' the point, which is the unit's first occurrence of it; without a point, 'from';
   `keep_repeats`: whether a node several times in a row counts each time, or once, at the time of the first.

   Nodes are numbers, which sort faster than text: micro-conversions as the taxonomy ranks them, from 1 up, and pages from
   -1 down. What one event is stands in that order, the page first. #}
{% from 'analyses/_sessions.sql' import actor_of with context %}
{% from '_urls.sql' import path %}
{% set has_entries = 'micro_conversion' in (nodes, point) %}
{% set has_pages = 'page' in (nodes, point) %}

{% macro unit(row) -%}
  {% if count == 'sessions' %}{{ row }}.session_key{% else %}{{ row }}.actor_key{% endif %}
{%- endmacro %}

{# How far a visit is from the point, in nodes. #}
{% macro distance(row) -%}
  {% if leads == 'to' %}{{ row }}.steps - {{ row }}.step{% else %}{{ row }}.step - 1{% endif %}
{%- endmacro %}

{% macro in_order(row) -%}
  {{ row }}.event_order, {{ row }}.client_key, {{ row }}.node
{%- endmacro %}

{# Whether one row of a unit comes before another. #}
{% macro comes_before(row, other) -%}
  (
      {{ row }}.event_order < {{ other }}.event_order
      OR {{ row }}.event_order = {{ other }}.event_order AND {{ row }}.client_key < {{ other }}.client_key
      OR {{ row }}.event_order = {{ other }}.event_order AND {{ row }}.client_key = {{ other }}.client_key
        AND {{ row }}.node < {{ other }}.node
    )
{%- endmacro %}

{% macro is_point(kind) -%}
  {% if point == kind %}n.name = @point{% else %}FALSE{% endif %}
{%- endmacro %}

{% macro is_wanted(only_point) -%}
  {% if only_point %}n.name = @point{% else %}n.name NOT IN UNNEST(@without){% endif %}
{%- endmacro %}

{% macro micro_conversion_rows(only_point) -%}
  SELECT
    {{ unit('m' | identifier) }} AS unit_key,
    m.client_key,
    m.event_order,
    UNIX_MICROS(m.event_at) AS event_us,
    n.node,
    {{ is_point('micro_conversion') }} AS is_point
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN entries AS n ON n.name = m.micro_conversion
  WHERE
    {{ is_wanted(only_point) }}
    AND {{ unit('m' | identifier) }} IS NOT NULL
{%- endmacro %}

{% macro page_rows(only_point) -%}
  SELECT
    {% if count == 'sessions' %}
    v.session_key AS unit_key,
    {% else %}
    {{ actor_of('v', 's') }} AS unit_key,
    {% endif %}
    v.client_key,
    v.event_order,
    UNIX_MICROS(v.event_at) AS event_us,
    n.node,
    {{ is_point('page') }} AS is_point
  FROM views AS v
  INNER JOIN addresses AS n ON n.page_location = v.page_location
  {% if count == 'actors' %}
  LEFT JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = v.session_key
  {% endif %}
  WHERE
    {{ is_wanted(only_point) }}
    {% if count == 'sessions' %}
    AND v.session_key IS NOT NULL
    {% endif %}
{%- endmacro %}

{# The CTEs. `names` has the name of each node; `points` one row per journey; `visits` one per node of a journey, where
   `step` counts from 1 along the way and `steps` is the whole. #}
{% macro journeys() -%}
{% if has_entries %}
entries AS (
  SELECT name, place + 1 AS node
  FROM UNNEST(@micro_conversions) AS name WITH OFFSET AS place
),

{% endif %}
{% if has_pages %}
views AS (
  SELECT
    v.property,
    v.client_key,
    v.session_key,
    v.user_id,
    v.event_order,
    v.event_at,
    v.page_location
  FROM {{ relation('mc_events') }} AS v
  WHERE
    v.event_name IN ('page_view', 'screen_view')
    AND v.client_key IS NOT NULL
    AND v.page_location IS NOT NULL
),

-- Many events share an address, and an address costs more to read than all else here. A name never holds the arrow that
-- parts the names of a sequence.
addresses AS (
  SELECT a.page_location, a.name, -DENSE_RANK() OVER (ORDER BY a.name) AS node
  FROM (
    SELECT v.page_location, REPLACE({{ path('v.page_location' | identifier) }}, ' > ', ' ') AS name
    FROM views AS v
    GROUP BY v.page_location
  ) AS a
),

{% endif %}
names AS (
  {% if has_entries %}
  SELECT n.node, n.name
  FROM entries AS n
  {% endif %}
  {% if has_entries and has_pages %}
  UNION ALL
  {% endif %}
  {% if has_pages %}
  SELECT DISTINCT n.node, n.name
  FROM addresses AS n
  {% endif %}
),

stream AS (
  {{ micro_conversion_rows(false) if nodes == 'micro_conversion' else page_rows(false) }}
  {% if point is not none and point != nodes %}
  UNION ALL
  {{ micro_conversion_rows(true) if point == 'micro_conversion' else page_rows(true) }}
  {% endif %}
),

{% if point is none %}
points AS (
  SELECT s.unit_key, MIN(s.event_order) AS event_order, MIN(s.event_us) AS event_us
  FROM stream AS s
  GROUP BY s.unit_key
),
{% else %}
points AS (
  SELECT s.unit_key, s.client_key, s.event_order, s.node, s.event_us
  FROM stream AS s
  WHERE s.is_point
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.unit_key ORDER BY {{ in_order('s' | identifier) }}) = 1
),
{% endif %}

near_points AS (
  SELECT s.unit_key, s.client_key, s.event_order, s.event_us, s.node
  FROM stream AS s
  INNER JOIN points AS p ON p.unit_key = s.unit_key
  WHERE
    {% if leads == 'to' %}
    p.event_us - s.event_us <= @window_us
    AND NOT {{ comes_before('p' | identifier, 's' | identifier) }}
    {% else %}
    s.event_us - p.event_us <= @window_us
    {% if point is not none %}
    AND NOT {{ comes_before('s' | identifier, 'p' | identifier) }}
    {% endif %}
    {% endif %}
),

{% if not keep_repeats %}
nodes_without_repeats AS (
  SELECT n.*
  FROM near_points AS n
  WHERE TRUE
  QUALIFY n.node IS DISTINCT FROM LAG(n.node) OVER (PARTITION BY n.unit_key ORDER BY {{ in_order('n' | identifier) }})
),

{% endif %}
visits AS (
  SELECT
    n.unit_key,
    n.node,
    n.event_us,
    ROW_NUMBER() OVER (PARTITION BY n.unit_key ORDER BY {{ in_order('n' | identifier) }}) AS step,
    COUNT(*) OVER (PARTITION BY n.unit_key) AS steps
  FROM {{ ('near_points' if keep_repeats else 'nodes_without_repeats') | identifier }} AS n
)
{%- endmacro %}
