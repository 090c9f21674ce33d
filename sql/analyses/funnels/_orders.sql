{# When a row `r` of `ways` first took a step, as an event_order; NULL where it did not. Import `with context`. #}
{% macro order_of(step) -%}
  CASE
      WHEN {{ step | identifier }} = r.step_index THEN r.event_order
      WHEN {{ step | identifier }} = 1 THEN {% if funnel.is_open %}IF(r.entry = 1, r.start_order, NULL){% else %}r.start_order{% endif %}

      {% for place in range(funnel.ways_from, funnel.steps) %}
      WHEN {{ step | identifier }} = {{ place }} THEN r.order_{{ place }}
      {% endfor %}
    END
{%- endmacro %}
