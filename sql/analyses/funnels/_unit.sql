{# What a funnel counts: the columns of `reached` that make an actor, a session or an attempt. #}
{% set unit -%}
  {% for column in funnel.unit_columns %}{% if not loop.first %}, {% endif %}r.{{ column | identifier }}{% endfor %}
{%- endset %}
{# Whether two rows are of one unit. #}
{% macro same_unit(one, other) -%}
  {% for column in funnel.unit_columns %}
  {%- if not loop.first %} AND {% endif %}{{ one | identifier }}.{{ column | identifier }} = {{ other | identifier }}.{{ column | identifier }}
  {%- endfor %}
{%- endmacro %}
{# Whether the step was taken after another, not by coming in there. #}
{% set is_continued %}r.step_index > {% if funnel.is_open %}r.entry{% else %}1{% endif %}{% endset %}
