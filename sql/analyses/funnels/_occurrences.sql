{# The occurrences that take part in a funnel, as common table expressions up to `occurrences`: one row for each place
   that an occurrence may take, with what is held constant, and the columns to keep. See `_funnel.sql` for `funnel`. #}
{% from '_conditions.sql' import meets %}
{% from 'segments/_matching.sql' import matching with context %}
{% if funnel.segment %}
{{ matching(funnel.segment) }}
,

{% endif %}
listened AS (
  SELECT micro_conversion, @places[OFFSET(at_place)] AS step_index
  FROM UNNEST(@micro_conversions) AS micro_conversion WITH OFFSET AS at_place
),

{# A purchase that is reported again is not a second purchase. Two actors may have one transaction id: shops of two
   countries count from 1 each. #}
repeats AS (
  SELECT m.client_key, m.event_order, m.micro_conversion
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.transaction_id IS NOT NULL AND m.micro_conversion IN UNNEST(@micro_conversions)
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY m.property, m.micro_conversion, m.actor_key, m.transaction_id ORDER BY m.event_order, m.client_key
    ) > 1
),

occurrences AS (
  SELECT
    m.{{ funnel.unit | identifier }} AS unit_key,
    m.event_order,
    l.step_index
    {%- for property in funnel.hold %},
    {% if property.is_list %}held_{{ loop.index }}
    {%- elif property.is_number %}CAST(m.{{ property.column | identifier }} AS STRING) AS held_{{ loop.index }}
    {%- else %}m.{{ property.column | identifier }} AS held_{{ loop.index }}
    {%- endif %}
    {%- endfor %}
    {%- if funnel.attributes or funnel.components or funnel.by_event %},
    m.client_key,
    m.micro_conversion
    {%- endif %}
    {%- for column in funnel.attributes %},
    m.{{ column | identifier }}
    {%- endfor %}
    {%- if funnel.is_limited %},
    m.event_date BETWEEN @first_day AND @last_day AS may_start
    {%- endif %}

  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN listened AS l ON l.micro_conversion = m.micro_conversion
  LEFT JOIN repeats AS d
    ON d.client_key = m.client_key AND d.event_order = m.event_order AND d.micro_conversion = m.micro_conversion
  {% for property in funnel.hold %}
  {% if property.is_list %}
  CROSS JOIN UNNEST(SPLIT(m.{{ property.column | identifier }}, '\n')) AS held_{{ loop.index }}
  {% endif %}
  {% endfor %}
  WHERE
    m.{{ funnel.unit | identifier }} IS NOT NULL
    AND d.client_key IS NULL
    {% for property in funnel.hold if not property.is_list %}
    AND m.{{ property.column | identifier }} IS NOT NULL
    {% endfor %}
    {% if funnel.is_limited %}
    AND m.event_date BETWEEN @first_read AND @last_read
    {% endif %}
    {% if funnel.segment %}
    AND m.actor_key IN (SELECT a.actor_key FROM matching AS a)
    {% endif %}
    {% if funnel.conditions %}
    AND {{ meets('l.step_index', 'm', funnel.conditions) }}
    {% endif %}
)
