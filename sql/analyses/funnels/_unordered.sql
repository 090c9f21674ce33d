{# Funnels whose steps come in any order, as common table expressions up to `first_reached`: for each unit and held value
   the moment at which it had first taken `step_index` steps within the window, and the latest moment they began.

   The steps taken in a stretch of time are the largest matching of events to steps. Steps that no event can share
   (components of one) are taken or not; for the others it is the least, over the sets of steps, of the events that meet
   one of the set, plus the steps outside the set (Hall). `funnel.components` lists for each component its `size` and all
   its `sets` of steps. A set of events that can be matched always extends to a largest one, so that the first event of a
   stretch is never left out. #}
{% include 'analyses/funnels/_occurrences.sql' %}
,

{% set keys %}r.unit_key{% for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}{% endset %}
{% macro events_of(set, window) -%}
  COUNTIF({% for step in set %}{% if not loop.first %} OR {% endif %}r.{{ ('takes_' ~ step) | identifier }}{% endfor %}) OVER {{ window }}
{%- endmacro %}
{% macro taken(window) -%}
  {% for component in funnel.components %}
  {% if not loop.first %}+ {% endif %}LEAST(
      {{ component.size }}
      {%- for set in component.sets %},
      {{ events_of(set, window) }} + {{ component.size - set | length }}
      {%- endfor %}

    )
  {% endfor %}
{%- endmacro %}
{% set until_now %}(
        PARTITION BY {{ keys }}, r.stretch ORDER BY r.event_us RANGE BETWEEN @window_us PRECEDING AND CURRENT ROW
      ){% endset %}
{% set back_to_here %}(
        PARTITION BY {{ keys }}, r.stretch, r.step_index ORDER BY r.event_us DESC
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ){% endset %}
events AS (
  SELECT
    {{ keys }}, r.client_key, r.event_order
    {%- for step in range(1, funnel.steps + 1) %},
    LOGICAL_OR(r.step_index = {{ step }}) AS {{ ('takes_' ~ step) | identifier }}
    {%- endfor %},
    LOGICAL_OR(r.step_index < 0) AS is_excluded,
    {% if funnel.is_limited %}LOGICAL_OR(r.may_start){% else %}TRUE{% endif %} AS may_start
  FROM occurrences AS r
  GROUP BY {{ keys }}, r.client_key, r.event_order
),

{# What is excluded ends a stretch, and takes no step. #}
stretches AS (
  SELECT
    r.*,
    DIV((r.event_order), 1000) AS event_us,
    COUNTIF(r.is_excluded) OVER (PARTITION BY {{ keys }} ORDER BY r.event_order) AS stretch
  FROM events AS r
),

eligible AS (
  SELECT r.*
  FROM stretches AS r
  WHERE NOT r.is_excluded
),

steps_taken AS (
  SELECT
    {{ keys }}, r.stretch, r.event_us,
    COUNTIF(r.may_start) OVER {{ until_now }} AS starts,
    {{ taken(until_now) }} AS steps_taken
  FROM eligible AS r
),

moments AS (
  SELECT {{ keys }}, r.stretch, step_index, MIN(r.event_us) AS reached_us
  FROM steps_taken AS r
  CROSS JOIN UNNEST(GENERATE_ARRAY(1, {{ funnel.steps }})) AS step_index
  WHERE r.starts > 0 AND step_index <= r.steps_taken
  GROUP BY {{ keys }}, r.stretch, step_index
),

{# Back from that moment: the latest event from which on as many steps are taken. #}
ways_back AS (
  SELECT {{ keys }}, r.stretch, r.step_index, r.reached_us, r.event_us, r.may_start, {{ taken(back_to_here) }} AS steps_taken
  FROM (
    SELECT e.*, m.step_index, m.reached_us
    FROM moments AS m
    INNER JOIN eligible AS e
      ON
        e.unit_key = m.unit_key
        {% for _ in funnel.hold %}
        AND e.held_{{ loop.index }} = m.held_{{ loop.index }}
        {% endfor %}
        AND e.stretch = m.stretch
        AND e.event_us BETWEEN m.reached_us - @window_us AND m.reached_us
  ) AS r
),

first_reached AS (
  SELECT r.unit_key, r.step_index, r.reached_us - r.start_us AS elapsed_us
  FROM (
    SELECT {{ keys }}, r.stretch, r.step_index, r.reached_us, MAX(r.event_us) AS start_us
    FROM ways_back AS r
    WHERE r.steps_taken >= r.step_index AND r.may_start
    GROUP BY {{ keys }}, r.stretch, r.step_index, r.reached_us
  ) AS r
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY r.unit_key, r.step_index ORDER BY r.reached_us, r.start_us DESC) = 1
)
