{# For funnels whose steps follow each other immediately: `with_others`, the rows of `occurrences` and, at place 0, each
   further event of their units that is a micro-conversion or a page view; for each held value the events that are no
   step with that value. A purchase that is reported again is not a further event, and a derived occurrence is no event. #}
{% from 'analyses/_sessions.sql' import actor_of with context %}
doings AS (
  SELECT m.{{ funnel.unit | identifier }} AS unit_key, m.client_key, m.event_order
  FROM {{ relation('mc_micro_conversions') }} AS m
  LEFT JOIN repeats AS d
    ON d.client_key = m.client_key AND d.event_order = m.event_order AND d.micro_conversion = m.micro_conversion
  WHERE
    m.{{ funnel.unit | identifier }} IS NOT NULL
    AND d.client_key IS NULL
    AND NOT COALESCE(m.is_derived, FALSE)
    {% if funnel.is_limited %}
    AND m.event_date BETWEEN @first_read AND @last_read
    {% endif %}
  UNION DISTINCT
  SELECT
    {% if funnel.unit == 'session_key' %}
    v.session_key AS unit_key,
    {% else %}
    {{ actor_of('v', 's') }} AS unit_key,
    {% endif %}
    v.client_key,
    v.event_order
  FROM {{ relation('mc_events') }} AS v
  {% if funnel.unit != 'session_key' %}
  LEFT JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = v.session_key
  {% endif %}
  WHERE
    v.event_name IN ('page_view', 'screen_view')
    AND v.client_key IS NOT NULL
    {% if funnel.unit == 'session_key' %}
    AND v.session_key IS NOT NULL
    {% endif %}
    {% if funnel.is_limited %}
    AND v.event_date BETWEEN @first_read AND @last_read
    {% endif %}
),

{% set keys %}r.unit_key{% for _ in funnel.hold %}, r.held_{{ loop.index }}{% endfor %}{% endset %}
streams AS (
  SELECT DISTINCT {{ keys }}
  FROM occurrences AS r
),

steps_of_events AS (
  SELECT DISTINCT {{ keys }}, r.client_key, r.event_order
  FROM occurrences AS r
  WHERE r.step_index > 0
),

with_others AS (
  SELECT
    {{ keys }}, r.event_order, r.step_index, r.client_key, r.micro_conversion
    {%- for column in funnel.attributes %}, r.{{ column | identifier }}{% endfor %}
    {%- if funnel.is_limited %}, r.may_start{% endif %}

  FROM occurrences AS r
  UNION ALL
  SELECT
    {{ keys }}, d.event_order, 0, d.client_key, NULL
    {%- for column in funnel.attributes %}, NULL{% endfor %}
    {%- if funnel.is_limited %}, FALSE{% endif %}

  FROM streams AS r
  INNER JOIN doings AS d ON d.unit_key = r.unit_key
  LEFT JOIN steps_of_events AS e
    ON
      e.unit_key = r.unit_key
      {% for _ in funnel.hold %}
      AND e.held_{{ loop.index }} = r.held_{{ loop.index }}
      {% endfor %}
      AND e.client_key = d.client_key
      AND e.event_order = d.event_order
  WHERE e.unit_key IS NULL
)
