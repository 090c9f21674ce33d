-- Credit of six rule models for each touchpoint and lookback window; the touchpoint NULL holds the conversions that
-- nothing touched. Credits come in units of 1e-10 and values in units of 1e-6, rounded touch by touch: sums of whole
-- numbers do not depend on their order. Actors with more possible pairs of touches and conversions than most_pairs are
-- left out: their conversions have no touch, and are counted beside the touchpoint NULL.
-- grain: touchpoint, week, actor_group
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE,
--   touchpoints ARRAY<STRING>, window_us_<n> INT64, half_life_us INT64, first_weight FLOAT64, middle_weight FLOAT64,
--   last_weight FLOAT64, most_pairs INT64, actor_groups INT64
-- structure: windows, touchpoint, listed, count, resets, grouped, direct
{% from 'analyses/attribution/_touches.sql' import latest_first, touches with context %}
{% from 'analyses/attribution/_conversions.sql' import conversions, groups with context %}
{% from 'analyses/attribution/_pairs.sql' import pairs with context %}
{% from 'analyses/attribution/_direct.sql' import counts, told_apart, trims with context %}
{% set models = ['first', 'last', 'last_non_direct', 'linear', 'time_decay', 'position'] %}
{% set even_models = ['linear', 'time_decay', 'position'] %}
{% macro comma(loop) %}{% if not loop.last %},{% endif %}{% endmacro %}
{# The first one's share of two. #}
{% set first_of_two %}COALESCE(SAFE_DIVIDE(@first_weight, @first_weight + @last_weight), 0.5){% endset %}
{% macro column(unit, model, n) %}{{ (unit ~ '_' ~ model ~ '_' ~ n) | identifier }}{% endmacro %}
{% macro group_columns(row) -%}
{% if grouped %}, {{ row | identifier }}.week, {{ row | identifier }}.actor_group{% endif %}
{%- endmacro %}
WITH {{ conversions() }},

{{ touches('converting_actors', listed, false) }},

{{ pairs() }},

-- A step counts back from the conversion.
steps AS (
  SELECT
    p.touchpoint,
    p.is_direct,
    p.client_key,
    p.event_order,
    p.age_us,
    FIRST_VALUE(p.age_us) OVER (
      PARTITION BY p.client_key, p.event_order ORDER BY {{ latest_first('p' | identifier) }}
    ) AS last_age_us,
    ROW_NUMBER() OVER (PARTITION BY p.client_key, p.event_order ORDER BY {{ latest_first('p' | identifier) }}) AS step
  FROM pairs AS p
),

{% if trims %}
{{ told_apart('apart', 'steps', ['client_key', 'event_order']) }}

{% endif %}
-- Weights are whole numbers: that of the last touch that counts is 2^40.
weighted AS (
  SELECT s.*, CAST(ROUND(POW(2, 40 - (
      s.age_us - {% if trims %}IF(s.age_us >= s.other_age_us, s.other_age_us, s.last_age_us){% else %}s.last_age_us{% endif %}

    ) / @half_life_us)) AS INT64) AS weight
  FROM {% if trims %}apart{% else %}steps{% endif %} AS s
),

totals AS (
  SELECT
    w.client_key,
    w.event_order,
    {% for n in range(1, windows + 1) %}
    {% set inside %}{{ counts('w' | identifier, n) }}{% endset %}
    COUNTIF({{ inside }}) AS touches_{{ n }},
    SUM(IF({{ inside }}, w.weight, 0)) AS weight_{{ n }},
    {% if trims %}
    MAX(IF({{ inside }}, w.step, NULL)) AS first_step_{{ n }},
    MIN(IF({{ inside }}, w.step, NULL)) AS last_step_{{ n }},
    {% endif %}
    {% endfor %}
    MIN(IF(w.is_direct, NULL, w.age_us)) AS other_age_us,
    MIN(IF(w.is_direct, NULL, w.step)) AS other_step
  FROM weighted AS w
  GROUP BY w.client_key, w.event_order
),

looking_back AS (
  SELECT
    {{ groups('c' | identifier) }}
    c.value,
    CAST(ROUND(c.value * 1e6) AS INT64) AS value_micros,
    t.*
  FROM totals AS t
  INNER JOIN conversions AS c ON c.client_key = t.client_key AND c.event_order = t.event_order
),

shares AS (
  SELECT
    w.touchpoint,
    {{ groups('l' | identifier) }}
    l.value,
    l.value_micros,
    {% for n in range(1, windows + 1) %}
    {% set inside %}{{ counts('w' | identifier, n) }}{% endset %}
    {% set is_first %}w.step = l.{% if trims %}first_step{% else %}touches{% endif %}_{{ n }}{% endset %}
    {% set is_last %}w.step = {% if trims %}l.last_step_{{ n }}{% else %}1{% endif %}{% endset %}
    {{ is_first }} AS first_{{ n }},
    {{ inside }} AND {{ is_last }} AS last_{{ n }},
    {{ inside }} AND w.step = IF(
      l.other_age_us <= {{ parameter('window_us_', n) }}, l.other_step, 1
    ) AS last_non_direct_{{ n }},
    IF({{ inside }}, 1 / l.touches_{{ n }}, 0) AS linear_{{ n }},
    IF({{ inside }}, w.weight / l.weight_{{ n }}, 0) AS time_decay_{{ n }},
    CASE
      WHEN NOT ({{ inside }}) THEN 0
      WHEN l.touches_{{ n }} = 1 THEN 1
      WHEN l.touches_{{ n }} = 2 THEN IF({{ is_first }}, {{ first_of_two }}, 1 - {{ first_of_two }})
      WHEN {{ is_first }} THEN @first_weight
      WHEN {{ is_last }} THEN @last_weight
      ELSE @middle_weight / (l.touches_{{ n }} - 2)
    END AS position_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM weighted AS w
  INNER JOIN looking_back AS l ON l.client_key = w.client_key AND l.event_order = w.event_order
),

untouched AS (
  SELECT
    {{ groups('c' | identifier) }}
    {% for n in range(1, windows + 1) %}
    {% set nothing %}COALESCE(l.touches_{{ n }}, 0) = 0{% endset %}
    IF({{ nothing }}, 10000000000, 0) AS credit_{{ n }},
    IF({{ nothing }}, CAST(ROUND(c.value * 1e6) AS INT64), 0) AS value_{{ n }},
    {% endfor %}
    o.actor_key AS left_out_actor
  FROM conversions AS c
  LEFT JOIN looking_back AS l ON l.client_key = c.client_key AND l.event_order = c.event_order
  LEFT JOIN left_out AS o ON o.actor_key = c.actor_key
),

credits AS (
  SELECT
    s.touchpoint{{ group_columns('s') }}{% for n in range(1, windows + 1) %}{% for model in models %},
    {% set share = ('s.' ~ model ~ '_' ~ n) | identifier %}
    {% if model in even_models %}
    CAST(ROUND({{ share }} * 1e10) AS INT64) AS {{ column('credit', model, n) }},
    CAST(ROUND({{ share }} * s.value * 1e6) AS INT64) AS {{ column('value', model, n) }}{% else %}

    IF({{ share }}, 10000000000, 0) AS {{ column('credit', model, n) }},
    IF({{ share }}, s.value_micros, 0) AS {{ column('value', model, n) }}{% endif %}{% endfor %}{% endfor %},
    CAST(NULL AS INT64) AS left_out_actor
  FROM shares AS s
  UNION ALL
  SELECT
    NULL{{ group_columns('u') }}{% for n in range(1, windows + 1) %}{% for model in models %},
    u.credit_{{ n }},
    u.value_{{ n }}{% endfor %}{% endfor %},
    u.left_out_actor
  FROM untouched AS u
)

SELECT
  c.touchpoint,
  {% if grouped %}
  c.week,
  c.actor_group{% else %}
  CAST(NULL AS DATE) AS week,
  CAST(NULL AS INT64) AS actor_group{% endif %}{% for n in range(1, windows + 1) %}{% for model in models %},
  CAST(SUM(c.{{ column('credit', model, n) }}) AS INT64) AS {{ column('credit', model, n) }},
  CAST(SUM(c.{{ column('value', model, n) }}) AS INT64) AS {{ column('value', model, n) }}{% endfor %}{% endfor %},
  COUNT(DISTINCT c.left_out_actor) AS left_out_actors,
  COUNT(c.left_out_actor) AS left_out_conversions
FROM credits AS c
GROUP BY c.touchpoint{{ group_columns('c') }}
ORDER BY c.touchpoint{{ group_columns('c') }}
