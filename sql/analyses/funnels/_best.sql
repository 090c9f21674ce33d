{# What stands for a unit, as common table expression `best`: of its occurrences that took a step, the first that took
   the furthest; where it is about time alone, of those that took a later step than the first. #}
{% from 'analyses/funnels/_unit.sql' import unit with context %}
best AS (
  SELECT r.*
  FROM reached AS r
  WHERE {% if funnel.is_timed %}r.step_index > 1{% else %}TRUE{% endif %}

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
