-- Credit of six rule models for each touchpoint and lookback window; the touchpoint NULL holds the conversions that no
-- session touched. Touches are paired with conversions, but for actors with more than `heavy_pairs` possible pairs: their
-- conversions read running figures per touchpoint instead, so that no actor costs more than its rows.
-- Credits come in units of 1e-10 and values in units of 1e-6: whole numbers, whose sums do not depend on their order.
-- grain: touchpoint
-- params: conversion STRING, window_us_<n> INT64, half_life_us INT64, heavy_pairs INT64
-- structure: windows
{# Windows ascend. #}
{% set longest_us = parameter('window_us_', windows) %}
{% macro comma(loop) %}{% if not loop.last %},{% endif %}{% endmacro %}
WITH occurrences AS (
  SELECT
    m.actor_key,
    m.client_key,
    m.event_order,
    UNIX_MICROS(m.event_at) AS conversion_us,
    COALESCE(m.value, 0) AS value,
    ROW_NUMBER() OVER (
      PARTITION BY
        m.property,
        m.transaction_id,
        IF(m.transaction_id IS NULL, m.client_key, NULL),
        IF(m.transaction_id IS NULL, m.event_order, NULL)
      ORDER BY m.event_order, m.client_key
    ) AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion
),

conversions AS (
  SELECT
    o.actor_key,
    o.client_key,
    o.event_order,
    o.conversion_us,
    o.value,
    DIV(o.conversion_us, {{ longest_us }}) AS block
  FROM occurrences AS o
  WHERE o.copy_number = 1
),

converting_actors AS (
  SELECT c.actor_key, COUNT(*) AS conversions
  FROM conversions AS c
  GROUP BY c.actor_key
),

touches AS (
  SELECT
    s.actor_key,
    -- A session that took its source over from an earlier one was itself direct.
    IF(s.source_rule = 'last_non_direct', 'Direct', COALESCE(s.channel_group, 'Unassigned')) AS touchpoint,
    UNIX_MICROS(s.started_at) AS touch_us,
    ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) AS place,
    a.conversions * COUNT(*) OVER (PARTITION BY s.actor_key) > @heavy_pairs AS is_heavy
  FROM {{ relation('mc_sessions') }} AS s
  INNER JOIN converting_actors AS a ON a.actor_key = s.actor_key
),

paired AS (
  SELECT
    t.touchpoint,
    t.touch_us,
    t.place,
    c.client_key,
    c.event_order,
    c.value,
    c.conversion_us - t.touch_us AS age_us
  FROM conversions AS c
  INNER JOIN touches AS t ON t.actor_key = c.actor_key
  WHERE NOT t.is_heavy AND t.touch_us <= c.conversion_us AND c.conversion_us - t.touch_us <= {{ longest_us }}
),

looking_back_by_pairs AS (
  SELECT
    p.touchpoint,
    p.client_key,
    p.event_order,
    ANY_VALUE(p.value) AS value,
    {% for n in range(1, windows + 1) %}
    {% set window_us = parameter('window_us_', n) %}
    COUNTIF(p.age_us <= {{ window_us }}) AS touches_{{ n }},
    MIN(IF(p.age_us <= {{ window_us }}, p.place, NULL)) AS first_{{ n }},
    MAX(IF(p.age_us <= {{ window_us }}, p.place, NULL)) AS last_{{ n }},
    SUM(IF(p.age_us <= {{ window_us }}, POW(2, -p.age_us / @half_life_us), NULL)) AS weight_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM paired AS p
  GROUP BY p.client_key, p.event_order, p.touchpoint
),

-- From here to looking_back_by_frames: heavy actors. No window reaches beyond the block before, so a touch is seen from
-- its own block and from the next; weights count from the start of the block, which keeps their exponents small.
touches_in_blocks AS (
  SELECT
    t.actor_key,
    t.touchpoint,
    t.touch_us,
    t.place,
    DIV(t.touch_us, {{ longest_us }}) + later AS block,
    POW(2, (t.touch_us - (DIV(t.touch_us, {{ longest_us }}) + later) * {{ longest_us }}) / @half_life_us) AS weight
  FROM touches AS t
  CROSS JOIN UNNEST([0, 1]) AS later
  WHERE t.is_heavy
),

touchpoints_in_blocks AS (
  SELECT t.actor_key, t.block, t.touchpoint
  FROM touches_in_blocks AS t
  GROUP BY t.actor_key, t.block, t.touchpoint
),

timeline AS (
  SELECT
    t.actor_key,
    t.block,
    t.touchpoint,
    t.touch_us AS at_us,
    t.place,
    t.weight,
    CAST(NULL AS INT64) AS client_key,
    CAST(NULL AS INT64) AS event_order,
    CAST(NULL AS FLOAT64) AS value
  FROM touches_in_blocks AS t
  UNION ALL
  SELECT t.actor_key, t.block, t.touchpoint, c.conversion_us, NULL, NULL, c.client_key, c.event_order, c.value
  FROM touchpoints_in_blocks AS t
  INNER JOIN conversions AS c ON c.actor_key = t.actor_key AND c.block = t.block
),

looking_back_by_frames AS (
  SELECT
    t.touchpoint,
    t.client_key,
    t.event_order,
    t.value,
    {% for n in range(1, windows + 1) %}
    {% set lookback %}
OVER (
      PARTITION BY t.actor_key, t.block, t.touchpoint
      ORDER BY t.at_us
      RANGE BETWEEN {{ parameter('window_us_', n) }} PRECEDING AND CURRENT ROW
    )
    {%- endset %}
    COUNT(t.place) {{ lookback }} AS touches_{{ n }},
    MIN(t.place) {{ lookback }} AS first_{{ n }},
    MAX(t.place) {{ lookback }} AS last_{{ n }},
    SUM(t.weight) {{ lookback }} AS weight_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM timeline AS t
),

looking_back AS (
  SELECT p.*
  FROM looking_back_by_pairs AS p
  UNION ALL
  SELECT f.*
  FROM looking_back_by_frames AS f
  WHERE f.event_order IS NOT NULL
  UNION ALL
  -- No touchpoint: it takes the whole credit where nothing else can.
  SELECT
    NULL,
    c.client_key,
    c.event_order,
    c.value,
    {% for n in range(1, windows + 1) %}
    0, NULL, NULL, NULL{{ comma(loop) }}
    {% endfor %}
  FROM conversions AS c
),

totals AS (
  SELECT
    l.*,
    {% for n in range(1, windows + 1) %}
    {% set of_conversion %}OVER (PARTITION BY l.client_key, l.event_order){% endset %}
    SUM(l.touches_{{ n }}) {{ of_conversion }} AS all_touches_{{ n }},
    MIN(l.first_{{ n }}) {{ of_conversion }} AS very_first_{{ n }},
    MAX(l.last_{{ n }}) {{ of_conversion }} AS very_last_{{ n }},
    MAX(IF(l.touchpoint = 'Direct', NULL, l.last_{{ n }})) {{ of_conversion }} AS last_other_{{ n }},
    SUM(l.weight_{{ n }}) {{ of_conversion }} AS all_weight_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM looking_back AS l
),

-- A conversion without any touch counts as one touch of the touchpoint NULL.
ends AS (
  SELECT
    t.*,
    {% for n in range(1, windows + 1) %}
    {% set untouched %}t.touchpoint IS NULL AND t.all_touches_{{ n }} = 0{% endset %}
    IF({{ untouched }} OR t.first_{{ n }} = t.very_first_{{ n }}, 1, 0) AS is_first_{{ n }},
    IF({{ untouched }} OR t.last_{{ n }} = t.very_last_{{ n }}, 1, 0) AS is_last_{{ n }},
    IF(
      {{ untouched }} OR t.last_{{ n }} = COALESCE(t.last_other_{{ n }}, t.very_last_{{ n }}), 1, 0
    ) AS is_last_non_direct_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM totals AS t
),

shares AS (
  SELECT
    e.touchpoint,
    e.value,
    {% for n in range(1, windows + 1) %}
    e.is_first_{{ n }} AS first_{{ n }},
    e.is_last_{{ n }} AS last_{{ n }},
    e.is_last_non_direct_{{ n }} AS last_non_direct_{{ n }},
    CASE
      WHEN e.all_touches_{{ n }} <= 1 THEN e.is_first_{{ n }}
      ELSE e.touches_{{ n }} / e.all_touches_{{ n }}
    END AS linear_{{ n }},
    CASE
      WHEN e.all_touches_{{ n }} <= 1 THEN e.is_first_{{ n }}
      ELSE COALESCE(e.weight_{{ n }}, 0) / e.all_weight_{{ n }}
    END AS time_decay_{{ n }},
    CASE
      WHEN e.all_touches_{{ n }} <= 1 THEN e.is_first_{{ n }}
      WHEN e.all_touches_{{ n }} = 2 THEN 0.5 * (e.is_first_{{ n }} + e.is_last_{{ n }})
      ELSE
        0.4 * (e.is_first_{{ n }} + e.is_last_{{ n }})
        + 0.2 * (e.touches_{{ n }} - e.is_first_{{ n }} - e.is_last_{{ n }}) / (e.all_touches_{{ n }} - 2)
    END AS position_{{ n }}{{ comma(loop) }}
    {% endfor %}
  FROM ends AS e
)

SELECT
  s.touchpoint,
  {% for n in range(1, windows + 1) %}
  {% for model in ['first', 'last', 'last_non_direct', 'linear', 'time_decay', 'position'] %}
  {% set column = (model ~ '_' ~ n) %}
  {% set share = ('s.' ~ column) | identifier %}
  CAST(SUM(CAST(ROUND({{ share }} * 1e10) AS INT64)) AS INT64) AS {{ ('credit_' ~ column) | identifier }},
  CAST(SUM(CAST(ROUND({{ share }} * s.value * 1e6) AS INT64)) AS INT64) AS {{ ('value_' ~ column) | identifier }}
  {%- if not loop.last %},{% endif %}

  {% endfor %}
  {%- if not loop.last %},{% endif %}

  {% endfor %}
FROM shares AS s
GROUP BY s.touchpoint
ORDER BY s.touchpoint
