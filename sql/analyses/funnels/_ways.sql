{# Where each step of a way was first taken, as common table expressions up to `ways`, which
   begin with those of `_best.sql` unless the funnel `is_plain`. Of all ways of
   one unit from the start of its best attempt to its end, over the same steps, there is one that takes each step
   earliest: what a step may look back to never moves back from an earlier occurrence of the step to a later one. Read
   backward: a step was first taken at its earliest occurrence with that start from which the first taking of the next
   step may be reached.

   A row of `ways` is one of `best`, with `order_<step>` for the steps from `funnel.ways_from` to the last but one (NULL
   where the way does not take the step between others), and `value_<step>` for the columns `funnel.way_values` (column,
   step). #}
{% from 'analyses/funnels/_unit.sql' import unit with context %}
{% set keys %}r.unit_key{% for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}{% endset %}
{% set fixed -%}
  {{ keys }}{% if funnel.is_open %}, r.entry{% endif %}, r.start_order, r.step_index, r.event_order
  {%- for step in funnel.way_options %}, r.via_{{ step }}{% endfor %}
{%- endset %}
{% set last_order -%}
  CASE r.step_index{% for step in range(2, funnel.steps + 1) %} WHEN {{ step }} THEN r.order_{{ step }}{% endfor %} END
{%- endset %}
{% set by_step = funnel.measured_from == 'last_order' %}
{% if funnel.is_plain %}
{# Nothing limits how far a step may look back but its start: each was first taken where any way from there took it. #}
attempts AS (
  SELECT
    {{ keys }}, r.start_order, MAX(r.step_index) AS step_index
    {%- for step in range(2, funnel.steps + 1) %},
    MIN(IF(r.step_index = {{ step }}, r.event_order, NULL)) AS order_{{ step }}
    {%- endfor %}

  FROM reached AS r
  WHERE r.step_index > 1
  GROUP BY {{ keys }}, r.start_order
),

ways AS (
  SELECT r.*, {{ last_order }} AS event_order
  FROM attempts AS r
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY {{ unit }}
      ORDER BY r.step_index DESC, {{ last_order }}, r.start_order DESC{% for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}

    ) = 1
)
{% else %}
{% include 'analyses/funnels/_best.sql' %}
,

way_{{ funnel.steps }} AS (
  SELECT {{ fixed }}, r.event_order AS next_order{% if funnel.barriers %}, r.barrier_order AS next_barrier{% endif %}

  FROM best AS r
),

{% for step in range(funnel.steps - 1, funnel.ways_from - 1, -1) %}
{% set known -%}
  {%- for later in range(step + 1, funnel.steps) %}, r.order_{{ later }}{% endfor %}
  {%- for value in funnel.way_values if value.step > step %}, r.value_{{ value.step }}{% endfor %}
{%- endset %}
{% set values = funnel.way_values | selectattr('step', 'equalto', step) | list %}
way_{{ step }} AS (
  SELECT
    {{ fixed }}{{ known }},
    t.event_order AS order_{{ step }},
    {% for value in values %}
    t.{{ value.column | identifier }} AS value_{{ step }},
    {% endfor %}
    COALESCE(t.event_order, r.next_order) AS next_order
    {%- if funnel.barriers %},
    IF(t.event_order IS NULL, r.next_barrier, t.barrier_order) AS next_barrier
    {%- endif %}

  FROM way_{{ step + 1 }} AS r
  LEFT JOIN taken_{{ step }} AS t
    ON
      t.unit_key = r.unit_key
      {% for _ in funnel.hold %}
      AND t.held_{{ loop.index }} = r.held_{{ loop.index }}
      {% endfor %}
      {% if funnel.is_open %}
      AND t.entry = r.entry
      {% endif %}
      AND t.start_order = r.start_order
      AND r.step_index > {{ step }}
      AND t.event_order < r.next_order
      {% if step in funnel.way_options %}
      AND r.via_{{ step }} IS NOT NULL
      {% endif %}
      {% if by_step %}
      AND DIV((r.next_order), 1000) - DIV((t.event_order), 1000) <= @window_us
      {% endif %}
      {% if funnel.barriers %}
      AND t.event_order >= COALESCE(r.next_barrier, 0)
      {% endif %}
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY {{ unit }} ORDER BY t.event_order{% if funnel.attributes %}, t.client_key, t.micro_conversion{% endif %}

    ) = 1
),

{% endfor %}
ways AS (
  SELECT r.*
  FROM way_{{ funnel.ways_from }} AS r
)
{% endif %}
