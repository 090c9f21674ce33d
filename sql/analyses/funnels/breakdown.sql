-- A funnel by a property of the session or the actor that a unit began with, or of an occurrence on its way: how many units
-- took each step. The most frequent values come apart, place by place from 1; the rest has neither place nor value.
-- grain: place, step_index
-- params: micro_conversions ARRAY<STRING>, places ARRAY<INT64>, window_us INT64, text_<n> STRING, texts_<n> ARRAY<STRING>,
--   number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, first_day DATE, last_day DATE, first_read DATE, last_read DATE,
--   top INT64, pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>, pair_places ARRAY<INT64>,
--   pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>, reach_us INT64, leaf_measures ARRAY<STRING>,
--   leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>, leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>,
--   leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>, leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>,
--   trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>, trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>,
--   visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   as_of TIMESTAMP
-- structure: funnel, breakdown
{% from 'analyses/_sessions.sql' import first_sessions with context %}
{% from 'analyses/funnels/_unit.sql' import same_unit with context %}
{% macro text(row, column=breakdown.column) -%}
  {% if breakdown.column == 'is_new' %}IF({{ row }}.session_number = 1, 'new', 'returning')
  {%- elif breakdown.is_list %}REPLACE({{ row }}.{{ column | identifier }}, '\n', ', ')
  {%- elif breakdown.is_number %}CAST({{ row }}.{{ column | identifier }} AS STRING)
  {%- else %}{{ row }}.{{ column | identifier }}
  {%- endif %}
{%- endmacro %}
WITH
{% include 'analyses/funnels/_machine.sql' %}
,

{% include 'analyses/funnels/_took.sql' %}
,

{% if funnel.ways_from %}
{% include 'analyses/funnels/_ways.sql' %}
{% else %}
{% include 'analyses/funnels/_best.sql' %}
{% endif %}
,

{% if breakdown.of == 'actor' %}
{% call(s) first_sessions() %}{{ text(s) }}{% endcall %},

{% endif %}
valued AS (
  SELECT
    {% for column in funnel.unit_columns %}
    b.{{ column | identifier }},
    {% endfor %}
    {% if breakdown.of == 'session' %}
    COALESCE({{ text('s' | identifier) }}, '(not set)') AS value
    {% elif breakdown.of == 'actor' %}
    COALESCE(f.value, '(not set)') AS value
    {% elif funnel.ways_from %}
    COALESCE(
      IF(b.step_index = {{ funnel.ways_from }}, {{ text('b' | identifier) }}, {{ text('w' | identifier, 'value_' ~ funnel.ways_from) }}), '(not set)'
    ) AS value
    {% else %}
    COALESCE({{ text('b' | identifier) }}, '(not set)') AS value
    {% endif %}
  FROM best AS b
  {% if breakdown.of == 'session' %}
  LEFT JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = b.first_session_key
  {% elif breakdown.of == 'actor' %}
  LEFT JOIN first_sessions AS f ON f.actor_key = b.actor_key
  {% elif funnel.ways_from %}
  LEFT JOIN ways AS w ON {{ same_unit('w', 'b') }}
  {% endif %}
),

ranked AS (
  SELECT c.value, ROW_NUMBER() OVER (ORDER BY c.units DESC, c.value) AS place
  FROM (SELECT v.value, COUNT(*) AS units FROM valued AS v GROUP BY v.value) AS c
)

SELECT
  IF(r.place <= @top, r.place, NULL) AS place,
  IF(r.place <= @top, r.value, NULL) AS value,
  t.step_index,
  COUNT(*) AS units,
  COUNTIF(t.is_continued) AS continued
FROM valued AS v
INNER JOIN ranked AS r ON r.value = v.value
INNER JOIN took AS t
  ON
    {% for column in funnel.unit_columns %}
    {% if not loop.first %}AND {% endif %}t.{{ column | identifier }} = v.{{ column | identifier }}
    {% endfor %}
GROUP BY IF(r.place <= @top, r.place, NULL), IF(r.place <= @top, r.value, NULL), t.step_index
ORDER BY place, step_index
