{# What stands for a unit, as common table expressions up to `best`: of its occurrences that took a step, the first that
   took the furthest. `took` has the steps that a unit took, and whether on the way from an earlier one. #}
{% from 'analyses/funnels/_unit.sql' import unit, is_continued with context %}
took AS (
  SELECT {{ unit }}, r.step_index, LOGICAL_OR({{ is_continued }}) AS is_continued
  FROM reached AS r
  GROUP BY {{ unit }}, r.step_index
),

best AS (
  SELECT r.*
  FROM reached AS r
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY {{ unit }}
      ORDER BY
        r.step_index DESC, r.event_order, r.start_order DESC
        {%- if funnel.is_open %}, r.entry{% endif %}
        {%- if funnel.attributes %}, r.client_key, r.micro_conversion{% endif %}
        {%- for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}

    ) = 1
)
