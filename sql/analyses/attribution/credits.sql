-- Credit of six rule models for each touchpoint and lookback window; the touchpoint NULL holds the conversions that
-- nothing touched. Credits come in units of 1e-10 and values in units of 1e-6, rounded touch by touch: sums of whole numbers
-- do not depend on their order.
-- grain: touchpoint, week, actor_group
-- params: conversion STRING, first_date DATE, last_date DATE, touchpoints ARRAY<STRING>, window_us_<n> INT64,
--   half_life_us INT64, first_weight FLOAT64, middle_weight FLOAT64, last_weight FLOAT64, heavy_pairs INT64,
--   actor_groups INT64
-- structure: windows, touchpoint, listed, count, since, grouped
{% from 'analyses/attribution/_touches.sql' import latest_first, touches with context %}
{% from 'analyses/attribution/_conversions.sql' import conversions, groups with context %}
{% from 'analyses/attribution/_windows.sql' import longest_us, pairs, same_actor, timeline with context %}
{% set models = ['first', 'last', 'last_non_direct', 'linear', 'time_decay', 'position'] %}
{% set even_models = ['linear', 'time_decay', 'position'] %}
{% macro comma(loop) %}{% if not loop.last %},{% endif %}{% endmacro %}
{# The first one's share of two. #}
{% set first_of_two %}COALESCE(SAFE_DIVIDE(@first_weight, @first_weight + @last_weight), 0.5){% endset %}
{% macro column(unit, model, n) %}{{ (unit ~ '_' ~ model ~ '_' ~ n) | identifier }}{% endmacro %}
{% macro group_columns(row) -%}
{% if grouped %}, {{ row | identifier }}.week, {{ row | identifier }}.actor_group{% endif %}
{%- endmacro %}
{% macro so_far() -%}
OVER (
      PARTITION BY p.actor_key, p.block, p.window_number
      ORDER BY p.place
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
{%- endmacro %}
{% macro following() -%}
OVER (
      PARTITION BY e.actor_key, e.block, e.window_number
      ORDER BY e.number DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
{%- endmacro %}
{% macro in_reach(model, column) -%}
{% if model == 'time_decay' %}w.weight * {% endif -%}
(COALESCE(a.{{ column | identifier }}, 0) - COALESCE(b.{{ column | identifier }}, 0)) AS {{ column | identifier }}
{%- endmacro %}
WITH {{ conversions() }},

converting_actors AS (
  SELECT c.actor_key, COUNT(*) AS conversions
  FROM conversions AS c
  GROUP BY c.actor_key
),

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

-- Weights are whole numbers: that of the last touch is 2^40.
weighted AS (
  SELECT s.*, CAST(ROUND(POW(2, 40 - (s.age_us - s.last_age_us) / @half_life_us)) AS INT64) AS weight
  FROM steps AS s
),

totals AS (
  SELECT
    w.client_key,
    w.event_order,
    {% for n in range(1, windows + 1) %}
    {% set window_us = parameter('window_us_', n) %}
    COUNTIF(w.age_us <= {{ window_us }}) AS touches_{{ n }},
    SUM(IF(w.age_us <= {{ window_us }}, w.weight, 0)) AS weight_{{ n }},
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
    {% set inside %}w.age_us <= {{ parameter('window_us_', n) }}{% endset %}
    {% set is_first %}w.step = l.touches_{{ n }}{% endset %}
    {{ is_first }} AS first_{{ n }},
    {{ inside }} AND w.step = 1 AS last_{{ n }},
    {{ inside }} AND w.step = IF(
      l.other_age_us <= {{ parameter('window_us_', n) }}, l.other_step, 1
    ) AS last_non_direct_{{ n }},
    IF({{ inside }}, 1 / l.touches_{{ n }}, 0) AS linear_{{ n }},
    IF({{ inside }}, w.weight / l.weight_{{ n }}, 0) AS time_decay_{{ n }},
    CASE
      WHEN NOT {{ inside }} THEN 0
      WHEN l.touches_{{ n }} = 1 THEN 1
      WHEN l.touches_{{ n }} = 2 THEN IF({{ is_first }}, {{ first_of_two }}, 1 - {{ first_of_two }})
      WHEN {{ is_first }} THEN @first_weight
      WHEN w.step = 1 THEN @last_weight
      ELSE @middle_weight / (l.touches_{{ n }} - 2)
    END AS position_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM weighted AS w
  INNER JOIN looking_back AS l ON l.client_key = w.client_key AND l.event_order = w.event_order
),

-- From here to heavy_sums: heavy actors. Weights are powers of two, which FLOAT64 holds from 2^-1022 to 2^1023, so they
-- count from the first conversion of a block of 250 half-lives, half a window off.
heavy_conversions AS (
  SELECT
    {% if grouped %}
    UNIX_DATE(c.week) * 10000000000000 + DIV(DIV(c.conversion_us, @half_life_us), 250) AS block,
    {% else %}
    DIV(DIV(c.conversion_us, @half_life_us), 250) AS block,
    {% endif %}
    c.*
  FROM conversions AS c
  INNER JOIN heavy_actors AS h ON h.actor_key = c.actor_key
),

{{ timeline() }},

weighed AS (
  SELECT
    p.*,
    POW(2, (p.since_start_us + {{ longest_us }} / 2) / @half_life_us) AS weight,
    SUM(POW(2, (p.since_start_us + {{ longest_us }} / 2) / @half_life_us)) {{ so_far() }} AS weight_so_far,
    MAX(IF(p.is_direct, NULL, p.place)) {{ so_far() }} AS other_place
  FROM placed AS p
),

heavy_totals AS (
  SELECT
    {{ groups('h' | identifier) }}
    h.value,
    s.*,
    s.up_to - s.before AS touches,
    l.weight_so_far - f.weight_so_far + f.weight AS weight,
    f.touchpoint AS first_touchpoint,
    l.touchpoint AS last_touchpoint,
    IF(l.other_place > s.before, o.touchpoint, l.touchpoint) AS last_non_direct_touchpoint
  FROM seen AS s
  INNER JOIN heavy_conversions AS h ON h.client_key = s.client_key AND h.event_order = s.event_order
  LEFT JOIN weighed AS l ON {{ same_actor('l', 's') }} AND l.place = s.up_to
  LEFT JOIN weighed AS o ON {{ same_actor('o', 's') }} AND o.place = l.other_place
  LEFT JOIN weighed AS f ON {{ same_actor('f', 's') }} AND f.place = s.before + 1
),

-- What every touch in the window gets, whatever its place.
evenly AS (
  SELECT
    t.*,
    IF(t.touches > 0, 1 / t.touches, 0) AS linear,
    IF(t.touches > 0, 1 / t.weight, 0) AS time_decay,
    IF(t.touches > 2, @middle_weight / (t.touches - 2), 0) AS position
  FROM heavy_totals AS t
),

-- Sums over a conversion and all that follow. A touch takes those from the first after it, less those that its window
-- does not reach; these are later and weigh little beside it, so that nothing is lost in the difference.
from_here AS (
  SELECT
    e.actor_key,
    e.block,
    e.window_number,
    e.number{% for model in even_models %},
    SUM(e.{{ model | identifier }}) {{ following() }} AS {{ model | identifier }},
    SUM(e.{{ model | identifier }} * e.value) {{ following() }} AS {{ ('value_' ~ model) | identifier }}{% endfor %}

  FROM evenly AS e
),

heavy_credits AS (
  SELECT
    w.touchpoint,
    {% if grouped %}
    DATE_FROM_UNIX_DATE(DIV(w.block, 10000000000000)) AS week,
    MOD(w.actor_key, @actor_groups) AS actor_group,
    {% endif %}
    w.window_number{% for model in models %},
    {% if model in even_models %}
    {{ in_reach(model, model) }},
    {{ in_reach(model, 'value_' ~ model) }}{% else %}

    0 AS {{ model | identifier }},
    0 AS {{ ('value_' ~ model) | identifier }}{% endif %}{% endfor %}

  FROM weighed AS w
  LEFT JOIN from_here AS a ON {{ same_actor('a', 'w') }} AND a.number = w.conversions + 1
  LEFT JOIN from_here AS b ON {{ same_actor('b', 'w') }} AND b.number = w.edges + 1
  {% for end in ['first', 'last', 'last_non_direct'] %}
  UNION ALL
  SELECT
    e.{{ (end ~ '_touchpoint') | identifier }},
    {{ groups('e' | identifier) }}
    e.window_number{% for model in models %}{% set credit %}
{% if model == end %}1{% elif model != 'position' or end == 'last_non_direct' %}0{% elif end == 'first' %}
CASE e.touches WHEN 1 THEN 1 WHEN 2 THEN {{ first_of_two }} ELSE @first_weight - e.position END{% else %}
CASE e.touches WHEN 1 THEN 0 WHEN 2 THEN 1 - {{ first_of_two }} ELSE @last_weight - e.position END{% endif %}
{% endset %},
    {{ credit }},
    {{ credit }} * e.value{% endfor %}

  FROM evenly AS e
  WHERE e.touches > 0
  {% endfor %}
),

heavy_sums AS (
  SELECT
    h.touchpoint,
    {{ groups('h' | identifier) }}
    h.window_number{% for model in models %},
    {% set value = ('value_' ~ model) | identifier %}
    SUM(CAST(ROUND(h.{{ model | identifier }} * 1e10) AS INT64)) AS {{ ('credit_' ~ model) | identifier }},
    SUM(CAST(ROUND(h.{{ value }} * 1e6) AS INT64)) AS {{ value }}{% endfor %}

  FROM heavy_credits AS h
  GROUP BY h.touchpoint, {{ groups('h' | identifier) }}h.window_number
  HAVING SUM(h.linear) > 0
),

touched AS (
  SELECT l.client_key, l.event_order{% for n in range(1, windows + 1) %}, l.touches_{{ n }}{% endfor %}

  FROM looking_back AS l
  UNION ALL
  SELECT
    t.client_key,
    t.event_order{% for n in range(1, windows + 1) %},
    MAX(IF(t.window_number = {{ n }}, t.touches, NULL)){% endfor %}

  FROM heavy_totals AS t
  GROUP BY t.client_key, t.event_order
),

untouched AS (
  SELECT
    {{ groups('c' | identifier) }}
    {% for n in range(1, windows + 1) %}
    {% set nothing %}COALESCE(t.touches_{{ n }}, 0) = 0{% endset %}
    IF({{ nothing }}, 10000000000, 0) AS credit_{{ n }},
    IF({{ nothing }}, CAST(ROUND(c.value * 1e6) AS INT64), 0) AS value_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM conversions AS c
  LEFT JOIN touched AS t ON t.client_key = c.client_key AND t.event_order = c.event_order
),

credits AS (
  SELECT
    s.touchpoint{{ group_columns('s') }}{% for n in range(1, windows + 1) %}{% for model in models %},
    {% set share = ('s.' ~ model ~ '_' ~ n) | identifier %}
    {% if model in even_models %}
    CAST(ROUND({{ share }} * 1e10) AS INT64) AS {{ column('credit', model, n) }},
    CAST(ROUND({{ share }} * s.value * 1e6) AS INT64) AS {{ column('value', model, n) }}{% else %}

    IF({{ share }}, 10000000000, 0) AS {{ column('credit', model, n) }},
    IF({{ share }}, s.value_micros, 0) AS {{ column('value', model, n) }}{% endif %}{% endfor %}{% endfor %}

  FROM shares AS s
  UNION ALL
  SELECT
    h.touchpoint{{ group_columns('h') }}{% for n in range(1, windows + 1) %}{% for model in models %},
    IF(h.window_number = {{ n }}, h.{{ ('credit_' ~ model) | identifier }}, 0),
    IF(h.window_number = {{ n }}, h.{{ ('value_' ~ model) | identifier }}, 0){% endfor %}{% endfor %}

  FROM heavy_sums AS h
  UNION ALL
  SELECT
    NULL{{ group_columns('u') }}{% for n in range(1, windows + 1) %}{% for model in models %},
    u.credit_{{ n }},
    u.value_{{ n }}{% endfor %}{% endfor %}

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
  CAST(SUM(c.{{ column('value', model, n) }}) AS INT64) AS {{ column('value', model, n) }}{% endfor %}{% endfor %}

FROM credits AS c
GROUP BY c.touchpoint{{ group_columns('c') }}
ORDER BY c.touchpoint{{ group_columns('c') }}
