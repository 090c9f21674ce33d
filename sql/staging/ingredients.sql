-- What derived occurrences of the actors at hand are made of: occurrences of the entries that rules name, as they are once
-- the batch is staged, from the first day that rules look back to. Derived ones are taken over where they stay as they are;
-- those of @first_day and later are made anew. A batch is of shards, or brings what another system tells now of the changed
-- days (`brings`). An occurrence whose clock lies outside its day in every time zone is left out.
-- grain: event_date, client_key, event_order, micro_conversion
-- params: property STRING, changed_dates ARRAY<DATE>, entries ARRAY<STRING>, first_read DATE, first_day DATE
-- structure: properties, brings
{% macro columns(row) -%}
  {% for column in [
    'property', 'event_date', 'event_at', 'event_order', 'micro_conversion', 'client_key', 'actor_key', 'session_key', 'value',
    'currency', 'value_in_usd', 'transaction_id', 'page', 'is_provisional', 'engagement_msec'
  ] + properties %}{{ row }}.{{ column | identifier }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- endmacro %}
{% macro is_of_its_day(row) -%}
UNIX_MICROS({{ row }}.event_at) >= UNIX_DATE({{ row }}.event_date) * 86400000000 - 50400000000
    AND UNIX_MICROS({{ row }}.event_at) < UNIX_DATE({{ row }}.event_date) * 86400000000 + 129600000000
{%- endmacro %}
{% for table in ['mc_micro_conversions', 'mc_signals'] %}
SELECT {{ columns('m' | identifier) }}
FROM {{ relation(table) }} AS m
INNER JOIN {{ relation('derived_actors') }} AS a ON a.actor_key = m.actor_key
{% if not brings %}
LEFT JOIN {{ relation('touched_sessions') }} AS t ON t.session_key = m.session_key
LEFT JOIN {{ relation('moved_sessions') }} AS v ON v.session_key = m.session_key
{% endif %}
WHERE
  m.property = @property
  AND m.event_date >= @first_read
  AND NOT (m.event_date IN UNNEST(@changed_dates) AND m.external_source IS {% if brings %}NOT {% endif %}NULL)
  AND m.micro_conversion IN UNNEST(@entries)
  AND NOT (COALESCE(m.is_derived, FALSE) AND m.event_date >= @first_day)
  {% if not brings %}
  AND t.session_key IS NULL
  AND v.session_key IS NULL
  {% endif %}
  AND {{ is_of_its_day('m' | identifier) }}
UNION ALL
{% endfor %}
{% for scratch in ([brings] if brings else ['micro_conversions', 'signals']) %}
SELECT {{ columns('n' | identifier) }}
FROM {{ relation(scratch) }} AS n
INNER JOIN {{ relation('derived_actors') }} AS a ON a.actor_key = n.actor_key
WHERE
  n.event_date >= @first_read
  AND n.micro_conversion IN UNNEST(@entries)
  AND {{ is_of_its_day('n' | identifier) }}
{% if not loop.last %}
UNION ALL
{% endif %}
{% endfor %}
