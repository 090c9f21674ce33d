-- The paths of touchpoints to each conversion within each lookback window, and those of actors who did not convert
-- after them: what models that learn from paths are made from. A path is the numbers of its touchpoints, their places
-- in touchpoints from 0, joined by '>', and '' where nothing touched. Paths keep their last most_steps touches. Actors
-- with more possible pairs of touches and conversions than most_pairs are left out: their conversions have no touch.
-- grain: window_number, path, week, actor_group
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE,
--   touchpoints ARRAY<STRING>, window_us_<n> INT64, most_steps INT64, most_pairs INT64, actor_groups INT64
-- structure: windows, touchpoint, count, resets, grouped, direct
{% from 'analyses/attribution/_touches.sql' import latest_first, touches with context %}
{% from 'analyses/attribution/_conversions.sql' import after, conversions, groups with context %}
{% from 'analyses/attribution/_pairs.sql' import longest_us, pairs with context %}
{% from 'analyses/attribution/_direct.sql' import counts, place, told_apart, trims with context %}
{# The path within each window: that of the longest, and how many letters those within each window take, as they end it;
   or each by itself, where direct touches count only in windows that hold nothing else. #}
{% macro paths_of(row) -%}
{% if not trims %}
STRING_AGG(
      IF({{ row }}.step <= @most_steps, {{ row }}.number, NULL), '>'
      ORDER BY {{ row }}.step DESC
    ) AS path,
    {% endif %}
    {% for n in range(1, windows + 1) %}
    {% set inside %}{{ counts(row, n) }}{% endset %}
    {% if trims %}
    STRING_AGG(
      IF({{ inside }} AND {{ place(row, n) }} <= @most_steps, {{ row }}.number, NULL), '>'
      ORDER BY {{ row }}.step DESC
    ) AS path_{{ n }},
    {% else %}
    SUM(
      IF({{ inside }} AND {{ row }}.step <= @most_steps, LENGTH({{ row }}.number) + 1, 0)
    ) AS letters_{{ n }},
    {% endif %}
    MAX(IF({{ inside }} AND {{ place(row, n) }} > @most_steps, 1, 0)) AS shortened_{{ n }}{% if not loop.last %},{% endif %}

    {% endfor %}
{% endmacro %}
{% macro path_within(row, n) -%}
{% if trims %}{{ row }}.path_{{ n }}
{%- else %}RIGHT({{ row }}.path, CAST(GREATEST({{ row }}.letters_{{ n }} - 1, 0) AS INT64))
{%- endif %}
{%- endmacro %}
WITH {{ conversions() }},

{{ touches(none, true, true) }},

{{ pairs() }},

steps AS (
  SELECT
    p.client_key,
    p.event_order,
    p.number,
    p.is_direct,
    p.age_us,
    ROW_NUMBER() OVER (PARTITION BY p.client_key, p.event_order ORDER BY {{ latest_first('p' | identifier) }}) AS step
  FROM pairs AS p
),

{% if trims %}
{{ told_apart('steps_apart', 'steps', ['client_key', 'event_order']) }}

{% endif %}
conversion_paths AS (
  SELECT
    s.client_key,
    s.event_order,
    {{ paths_of('s' | identifier) }}
  FROM {% if trims %}steps_apart{% else %}steps{% endif %} AS s
  GROUP BY s.client_key, s.event_order
),

-- Where an actor's journey that has not converted begins. Who counts once has none after the conversion.
last_conversions AS (
  SELECT
    c.actor_key,
    c.conversion_us,
    c.event_order,
    c.client_key,
    ROW_NUMBER() OVER (PARTITION BY c.actor_key ORDER BY c.event_order DESC, c.client_key DESC) AS step
  FROM counted AS c
),

open_steps AS (
  SELECT
    t.actor_key,
    t.number,
    t.is_direct,
    ROW_NUMBER() OVER (PARTITION BY t.actor_key ORDER BY {{ latest_first('t' | identifier) }}) AS step,
    FIRST_VALUE(t.touch_us) OVER (
      PARTITION BY t.actor_key ORDER BY {{ latest_first('t' | identifier) }}
    ) - t.touch_us AS age_us,
    FIRST_VALUE(t.touch_date) OVER (
      PARTITION BY t.actor_key ORDER BY {{ latest_first('t' | identifier) }}
    ) AS last_touch_date
  FROM touches AS t
  LEFT JOIN last_conversions AS c ON c.actor_key = t.actor_key AND c.step = 1
  WHERE
    {% if count == 'actors' %}
    c.actor_key IS NULL
    {% else %}
    {{ after('t', 'c', 'conversion_us', 'event_order', 'client_key') }}
    {% endif %}
),

{% if trims %}
{{ told_apart('open_steps_apart', 'open_steps', ['actor_key']) }}

{% endif %}
open_paths AS (
  SELECT
    o.actor_key,
    o.last_touch_date,
    {{ paths_of('o' | identifier) }}
  FROM {% if trims %}open_steps_apart{% else %}open_steps{% endif %} AS o
  WHERE
    o.age_us <= {{ longest_us }}
    AND (@first_date IS NULL OR o.last_touch_date >= @first_date)
    AND (@last_date IS NULL OR o.last_touch_date <= @last_date)
  GROUP BY o.actor_key, o.last_touch_date
),

journeys AS (
  {% for n in range(1, windows + 1) %}
  SELECT
    {{ n }} AS window_number,
    {{ groups('c' | identifier) }}
    COALESCE({{ path_within('p' | identifier, n) }}, '') AS path,
    1 AS conversions,
    CAST(ROUND(c.value * 1e6) AS INT64) AS value_micros,
    0 AS others,
    COALESCE(p.shortened_{{ n }}, 0) AS shortened
  FROM conversions AS c
  LEFT JOIN conversion_paths AS p ON p.client_key = c.client_key AND p.event_order = c.event_order
  UNION ALL
  SELECT
    {{ n }},
    {% if grouped %}
    DATE_TRUNC(o.last_touch_date, WEEK(MONDAY)),
    MOD(o.actor_key, @actor_groups),
    {% endif %}
    {{ path_within('o' | identifier, n) }},
    0,
    0,
    1,
    o.shortened_{{ n }}
  FROM open_paths AS o
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
)

SELECT
  j.window_number,
  j.path,
  {% if grouped %}
  j.week,
  j.actor_group,
  {% else %}
  CAST(NULL AS DATE) AS week,
  CAST(NULL AS INT64) AS actor_group,
  {% endif %}
  CAST(SUM(j.conversions) AS INT64) AS conversions,
  CAST(SUM(j.value_micros) AS INT64) AS value_micros,
  CAST(SUM(j.others) AS INT64) AS others,
  CAST(SUM(j.shortened) AS INT64) AS shortened
FROM journeys AS j
GROUP BY j.window_number, {{ groups('j' | identifier) }}j.path
ORDER BY j.window_number, j.path{% if grouped %}, j.week, j.actor_group{% endif %}
