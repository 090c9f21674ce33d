{# The machine of ordered and strict funnels, as common table expressions up to `reached`: a row for each occurrence that
   takes a step, with what it knows of the path that led to it.

   Step by step, an occurrence looks back at the latest earlier occurrence from which its step may be taken. No other
   serves better: whatever the path of an earlier one holds (its start, its last step), that of the latest holds one at
   least as late, so that where the latest does not serve (too long ago, something in between), none does. Only these two
   kinds of rows are sorted for a step, and the cost is linear in the rows.

   What one actor's clients do at one event_order is simultaneous: neither comes before the other.

   `funnel` has
   - unit: the column counted by; steps: how many; is_open: whether a path may begin at any step;
   - hold: properties (column, is_list, is_number) that stay the same all the way;
   - is_limited: whether starts lie between two days; segment: whether only the actors of a segment count;
   - conditions: the tests of `_conditions.sql`, by place. Places are steps from 1 up, and exclusions from -1 down;
   - predecessors: for each step from 2 the steps it may follow;
   - barriers: the places that may not come between these steps and the step before (steps, places), and the places
     that may not unless their event is one of others, too (unless, passes). Place 0 is any other event of the unit;
   - by_event: whether one event may be at several places of a barrier; is_immediate: whether other events are looked at;
   - stops: the places that end the way of a unit that stands at these steps (steps, places), and the unit with it;
   - ways_from: from which step on a way back is followed by `_ways.sql`, 0 for none;
   - measured_from: start_order where the window is for the whole, last_order where it is for each step;
   - attributes: columns of an occurrence to keep; fields: those to carry along the path (name, column, and the step they
     are of, none for the first that is taken).

   DuckDB has a join that finds the latest earlier row with less sorting than a window needs. #}
{% include 'analyses/funnels/_occurrences.sql' %}
,

{% set keys %}r.unit_key{% for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}{% endset %}
{% set partition %}{{ keys }}{% if funnel.is_open %}, r.entry{% endif %}{% endset %}
{# Two clients, or two micro-conversions that are the same step, may give a step twice at one event_order: that changes
   what is carried along, and nothing else. #}
{% set ties %}{% if funnel.attributes %}, r.client_key, r.micro_conversion{% endif %}{% endset %}
{% set attributes %}{{ ties }}{% for column in funnel.attributes %}, r.{{ column | identifier }}{% endfor %}{% endset %}
{% set barrier %}{% if funnel.barriers %}, r.barrier_order{% endif %}{% endset %}
{% set needs_last = funnel.barriers or funnel.measured_from == 'last_order' %}
{% set state = ['start_order'] + (['last_order'] if needs_last else []) + funnel.fields | map(attribute='name') | list %}
{% from 'analyses/funnels/_unit.sql' import unit, same_unit with context %}
{% set all_rows = 'with_others' if funnel.is_immediate else 'occurrences' %}
{% set judged_rows = 'passing' if funnel.by_event and (funnel.barriers or funnel.stops) else all_rows %}
{% set numbers = namespace(unless=0) %}
{% set is_barred = funnel.barriers or funnel.stops %}
{% set source = 'barred' if is_barred else 'occurrences' %}
{# What a row that took a step keeps of what was found before it. #}
{% set found %}
{%- if funnel.barriers and funnel.ways_from %}, r.barrier_order{% endif %}
{%- if funnel.stops %}, r.stop_order{% endif %}
{%- endset %}
{% set path -%}
  STRUCT({% for name in state %}{% if not loop.first %}, {% endif %}r.{{ name | identifier }} AS {{ name | identifier }}{% endfor %})
{%- endset %}
{% macro any_of(places) -%}
  r.step_index IN ({% for place in places %}{% if not loop.first %}, {% endif %}{{ place }}{% endfor %})
{%- endmacro %}
{# Rows that begin a path at a step. #}
{% macro starts(step) -%}
  SELECT
    {{ keys }}{% if funnel.is_open %}, {{ step }} AS entry{% endif %}, r.event_order, r.step_index{{ attributes }}{{ found }},
    r.event_order AS start_order
    {%- if needs_last %},
    r.event_order AS last_order
    {%- endif %}
    {%- for field in funnel.fields %},
    {% if field.step is none or field.step == step %}r.{{ field.column | identifier }}
    {%- else %}IF(FALSE, r.{{ field.column | identifier }}, NULL)
    {%- endif %} AS {{ field.name | identifier }}
    {%- endfor %}

  FROM {{ source | identifier }} AS r
  WHERE r.step_index = {{ step }}{% if funnel.is_limited %} AND r.may_start{% endif %}
{%- endmacro %}
{% if funnel.is_immediate %}
{# What else the units did: micro-conversions and pages that are none of their steps, for each value that is held. #}
{% include 'analyses/funnels/_others.sql' %}
,

{% endif %}
{% if is_barred %}
{% if funnel.by_event %}
{# Whether the event of a row is also at a place that a barrier lets through. #}
passing AS (
  SELECT
    r.*
    {%- for barrier in funnel.barriers if barrier.unless %},
    COUNTIF({{ any_of(barrier.passes) }}) OVER (PARTITION BY {{ keys }}, r.client_key, r.event_order) > 0 AS {{ ('passes_' ~ loop.index) | identifier }}
    {%- endfor %}

  FROM {{ all_rows | identifier }} AS r
),

{% endif %}
{# `barrier_order` is the latest event before this one that the step may not be taken across, `stop_order` the next that
   ends the way of those who stand here. #}
barred AS (
  SELECT
    r.*
    {%- if funnel.barriers %},
    CASE
      {% for barrier in funnel.barriers %}
      {% if barrier.unless %}{% set numbers.unless = numbers.unless + 1 %}{% endif %}
      WHEN {{ any_of(barrier.steps) }} THEN
        MAX(IF(
          {% if barrier.places %}{{ any_of(barrier.places) }}{% endif %}
          {%- if barrier.places and barrier.unless %} OR {% endif %}
          {%- if barrier.unless %}{{ any_of(barrier.unless) }}{% if funnel.by_event %} AND NOT r.{{ ('passes_' ~ numbers.unless) | identifier }}{% endif %}{% endif %},
          r.event_order, NULL
        )) OVER (
          PARTITION BY {{ keys }} ORDER BY r.event_order RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
      {% endfor %}
    END AS barrier_order
    {%- endif %}
    {%- if funnel.stops %},
    CASE
      {% for stop in funnel.stops %}
      WHEN {{ any_of(stop.steps) }} THEN
        MIN(IF({{ any_of(stop.places) }}, r.event_order, NULL)) OVER (
          PARTITION BY {{ keys }} ORDER BY r.event_order DESC RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
      {% endfor %}
    END AS stop_order
    {%- endif %}

  FROM {{ judged_rows | identifier }} AS r
),

{% endif %}
taken_1 AS (
  {{ starts(1) }}
),

{% for predecessors in funnel.predecessors %}
{% set step = loop.index + 1 %}
{% set by_asof = dialect == 'duckdb' and predecessors | length == 1 and not funnel.attributes %}
{% set best %}{% if by_asof %}b{% else %}r.best{% endif %}{% endset %}
taken_{{ step }} AS (
  SELECT
    {{ partition }}, r.event_order, r.step_index{{ attributes }}{{ found }},
    {{ best }}.start_order AS start_order
    {%- if needs_last %},
    r.event_order AS last_order
    {%- endif %}
    {%- for field in funnel.fields %},
    {% if field.step == step %}r.{{ field.column | identifier }}{% else %}{{ best }}.{{ field.name | identifier }}{% endif %} AS {{ field.name | identifier }}
    {%- endfor %}

  {% set here %}
    SELECT {{ keys }}{% if funnel.is_open %}, entry{% endif %}, r.event_order, r.step_index{{ attributes }}{{ barrier }}
    {%- if funnel.stops %}, r.stop_order{% endif %}
    {%- if not by_asof %}{% for name in state %}, NULL AS {{ name | identifier }}{% endfor %}{% endif %}

    FROM {{ source | identifier }} AS r
    {% if funnel.is_open %}
    CROSS JOIN UNNEST(GENERATE_ARRAY(1, {{ loop.index }})) AS entry
    {% endif %}
    WHERE r.step_index = {{ step }}
  {% endset %}
  {% if by_asof %}
  FROM (
{{ here }}
  ) AS r
  ASOF JOIN taken_{{ loop.index }} AS b
    ON b.unit_key = r.unit_key
    {% for _ in funnel.hold %}
    AND b.held_{{ loop.index }} = r.held_{{ loop.index }}
    {% endfor %}
    {% if funnel.is_open %}
    AND b.entry = r.entry
    {% endif %}
    AND b.event_order < r.event_order
  {% else %}
  FROM (
    {# The steps of one event come in falling order, so that it never serves two of them. #}
    SELECT
      r.*,
      LAST_VALUE(IF(r.start_order IS NOT NULL, {{ path }}, NULL) IGNORE NULLS) OVER (
        PARTITION BY {{ partition }}
        ORDER BY r.event_order, r.step_index DESC{{ ties }}
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS best
    FROM (
      {% for before in predecessors %}
      SELECT {{ partition }}, r.event_order, r.step_index{{ attributes }}
      {%- if funnel.barriers %}, 0 AS barrier_order{% endif %}{% if funnel.stops %}, 0 AS stop_order{% endif %}{% for name in state %}, r.{{ name | identifier }}{% endfor %}

      FROM taken_{{ before }} AS r
      UNION ALL
      {% endfor %}
{{ here }}
    ) AS r
  ) AS r
  {% endif %}
  WHERE
    r.step_index = {{ step }}
    AND DIV((r.event_order), 1000) - DIV(({{ best }}.{{ funnel.measured_from | identifier }}), 1000) <= @window_us
    {% if funnel.barriers %}
    AND COALESCE(r.barrier_order, 0) <= {{ best }}.last_order
    {% endif %}
  {% if funnel.is_open %}
  UNION ALL
  {{ starts(step) }}
  {% endif %}
),

{% endfor %}
{% if funnel.stops %}all_reached{% else %}reached{% endif %} AS (
  SELECT {{ partition }}, r.event_order, r.step_index{{ attributes }}{{ found }}{% for name in state %}, r.{{ name | identifier }}{% endfor %}

  FROM (
    {% for step in range(1, funnel.steps + 1) %}
    {% if not loop.first %}
    UNION ALL
    {% endif %}
    SELECT r.* FROM taken_{{ step }} AS r
    {% endfor %}
  ) AS r
  {% if funnel.is_open %}
  {# It belongs to the path that came in earliest. #}
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {{ keys }}, r.event_order, r.step_index{{ ties }} ORDER BY r.entry) = 1
  {% endif %}
)
{% if funnel.stops %}
,

{# A unit leaves when it was stopped wherever it took its furthest step. #}
standings AS (
  SELECT {{ unit }}, r.step_index, LOGICAL_AND(COALESCE(
    DIV((r.stop_order), 1000) - DIV((r.{{ funnel.measured_from | identifier }}), 1000) <= @window_us, FALSE
  )) AS is_stopped
  FROM all_reached AS r
  GROUP BY {{ unit }}, r.step_index
),

leavers AS (
  SELECT r.*
  FROM (
    SELECT r.*, ROW_NUMBER() OVER (PARTITION BY {{ unit }} ORDER BY r.step_index DESC) AS place
    FROM standings AS r
  ) AS r
  WHERE r.place = 1 AND r.is_stopped
),

reached AS (
  SELECT r.*
  FROM all_reached AS r
  LEFT JOIN leavers AS e ON {{ same_unit('e', 'r') }}
  WHERE e.unit_key IS NULL
)
{% endif %}
