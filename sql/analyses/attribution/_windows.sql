{# Which touches lie in the lookback windows of a conversion; import `with context`. It reads `windows` (ascending), and
   what `_attribution_touches.sql` and `_attribution_conversions.sql` read, whose CTEs `touches` and `conversions` it
   needs, and `converting_actors` with the number of their conversions.

   Touches are paired with conversions, but for actors with more than `@heavy_pairs` possible pairs: a robot would pair
   millions. Theirs are numbered along one timeline, on which the touches of a conversion lie between two numbers. #}
{% from 'analyses/attribution/_touches.sql' import of_sessions with context %}
{% from 'analyses/attribution/_conversions.sql' import after, before with context %}
{% set longest_us = parameter('window_us_', windows) %}

{# CTEs `heavy_actors`, and `pairs` of all others: the conversion, the touch and its age. #}
{% macro pairs() -%}
sizes AS (
  SELECT t.actor_key, COUNT(*) AS touches
  FROM touches AS t
  GROUP BY t.actor_key
),

heavy_actors AS (
  SELECT a.actor_key
  FROM converting_actors AS a
  INNER JOIN sizes AS s ON s.actor_key = a.actor_key
  WHERE a.conversions * s.touches > @heavy_pairs
),

pairs AS (
  SELECT
    c.client_key,
    c.event_order,
    t.*,
    c.conversion_us - t.touch_us AS age_us
  FROM conversions AS c
  LEFT JOIN heavy_actors AS h ON h.actor_key = c.actor_key
  INNER JOIN touches AS t ON t.actor_key = c.actor_key
  WHERE
    h.actor_key IS NULL
    AND {{ before('t', 'c') }}
    AND c.conversion_us - t.touch_us <= {{ longest_us }}
    {% if since == 'last_conversion' %}
    AND {{ after('t', 'c', 'previous_us', 'previous_order', 'previous_client') }}
    {% endif %}
)
{%- endmacro %}

{# CTEs, for heavy actors by actor, block and window: `placed`, the touches, each with its `place` and with how many
   left edges and conversions lie before it; and `seen`, the conversions, each with its `number`, the place `up_to`
   which it looks and the place `before` the first touch in its window. It needs `heavy_conversions`, with a `block` of each:
   touches count in every block whose conversions may see them.

   Left edges come in the order of their conversions. So a touch lies in the windows of the conversions from the first
   after it to the last whose edge is before it. #}
{% macro timeline() -%}
grid AS (
  {% for n in range(1, windows + 1) %}
  SELECT {{ n }} AS window_number, {{ parameter('window_us_', n) }} AS window_us
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

blocks AS (
  SELECT h.actor_key, h.block, MIN(h.conversion_us) AS starts_us, MAX(h.conversion_us) AS ends_us
  FROM heavy_conversions AS h
  GROUP BY h.actor_key, h.block
),

timeline AS (
  SELECT
    b.actor_key,
    b.block,
    g.window_number,
    'touch' AS role,
    t.touch_order AS order_at,
    {% if of_sessions %}
    1 AS rank_1,
    t.touch_key AS rank_2,
    {% else %}
    t.touch_key AS rank_1,
    2 AS rank_2,
    {% endif %}
    t.touchpoint,
    t.number,
    t.is_direct,
    t.touch_us - b.starts_us AS since_start_us,
    CAST(NULL AS INT64) AS event_order,
    CAST(NULL AS INT64) AS client_key
  FROM blocks AS b
  INNER JOIN touches AS t ON t.actor_key = b.actor_key
  CROSS JOIN grid AS g
  WHERE t.touch_us BETWEEN b.starts_us - {{ longest_us }} AND b.ends_us
  UNION ALL
  SELECT
    h.actor_key,
    h.block,
    g.window_number,
    'edge',
    {% set previous %}h.previous_us >= h.conversion_us - g.window_us{% endset %}
    {% if since == 'last_conversion' and of_sessions %}
    IF({{ previous }}, h.previous_us, h.conversion_us - g.window_us),
    IF({{ previous }}, 2, 0),
    {% elif since == 'last_conversion' %}
    IF({{ previous }}, h.previous_order, (h.conversion_us - g.window_us) * 1000),
    IF({{ previous }}, h.previous_client, 0),
    {% elif of_sessions %}
    h.conversion_us - g.window_us,
    0,
    {% else %}
    (h.conversion_us - g.window_us) * 1000,
    0,
    {% endif %}
    3,
    NULL, NULL, NULL, NULL,
    h.event_order,
    h.client_key
  FROM heavy_conversions AS h
  CROSS JOIN grid AS g
  UNION ALL
  SELECT
    h.actor_key,
    h.block,
    g.window_number,
    'conversion',
    {% if of_sessions %}
    h.conversion_us,
    2,
    {% else %}
    h.event_order,
    h.client_key,
    {% endif %}
    1,
    NULL, NULL, NULL, NULL,
    h.event_order,
    h.client_key
  FROM heavy_conversions AS h
  CROSS JOIN grid AS g
),

running AS (
  SELECT
    l.*,
    COUNTIF(l.role = 'touch') {{ so_far() }} AS touches,
    COUNTIF(l.role = 'edge') {{ so_far() }} AS edges,
    COUNTIF(l.role = 'conversion') {{ so_far() }} AS conversions
  FROM timeline AS l
),

placed AS (
  SELECT
    r.actor_key,
    r.block,
    r.window_number,
    r.touchpoint,
    r.number,
    r.is_direct,
    r.since_start_us,
    r.touches AS place,
    r.edges,
    r.conversions
  FROM running AS r
  WHERE r.role = 'touch'
),

seen AS (
  SELECT
    r.actor_key,
    r.block,
    r.window_number,
    r.client_key,
    r.event_order,
    MAX(IF(r.role = 'edge', r.touches, NULL)) AS before,
    MAX(IF(r.role = 'conversion', r.touches, NULL)) AS up_to,
    MAX(IF(r.role = 'conversion', r.conversions, NULL)) AS number
  FROM running AS r
  WHERE r.role != 'touch'
  GROUP BY r.actor_key, r.block, r.window_number, r.client_key, r.event_order
)
{%- endmacro %}

{# Whether two rows are of the same actor, block and window. #}
{% macro same_actor(row, other) -%}
{{ (row ~ '.actor_key') | identifier }} = {{ (other ~ '.actor_key') | identifier }}
    AND {{ (row ~ '.block') | identifier }} = {{ (other ~ '.block') | identifier }}
    AND {{ (row ~ '.window_number') | identifier }} = {{ (other ~ '.window_number') | identifier }}
{%- endmacro %}

{% macro so_far() -%}
OVER (
      PARTITION BY l.actor_key, l.block, l.window_number
      ORDER BY l.order_at, l.rank_1, l.rank_2, l.touchpoint, l.event_order, l.client_key
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
{%- endmacro %}
