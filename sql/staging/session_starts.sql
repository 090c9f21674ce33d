-- The beginnings of the sessions of the actors at hand, as they are once the batch is staged.
-- grain: session_key
-- params: property STRING, first_read DATE
-- structure: brings
{% macro columns(row) -%}
{{ row }}.property, {{ row }}.session_date, {{ row }}.session_key, {{ row }}.client_key, {{ row }}.actor_key, {{ row }}.started_at,
  {{ row }}.landing_page, {{ row }}.is_provisional
{%- endmacro %}
{% macro is_of_its_day(row) -%}
UNIX_MICROS({{ row }}.started_at) >= UNIX_DATE({{ row }}.session_date) * 86400000000 - 50400000000
  AND UNIX_MICROS({{ row }}.started_at) < UNIX_DATE({{ row }}.session_date) * 86400000000 + 129600000000
{%- endmacro %}
{% if not brings %}
SELECT {{ columns('n' | identifier) }}
FROM {{ relation('sessions') }} AS n
INNER JOIN {{ relation('derived_actors') }} AS a ON a.actor_key = n.actor_key
WHERE n.session_date >= @first_read AND {{ is_of_its_day('n' | identifier) }}
UNION ALL
{% endif %}
SELECT {{ columns('m' | identifier) }}
FROM {{ relation('mc_sessions') }} AS m
INNER JOIN {{ relation('derived_actors') }} AS a ON a.actor_key = m.actor_key
{% if not brings %}
LEFT JOIN {{ relation('sessions') }} AS s ON s.session_key = m.session_key
LEFT JOIN {{ relation('touched_sessions') }} AS t ON t.session_key = m.session_key
{% endif %}
WHERE
  m.property = @property
  AND m.session_date >= @first_read
  {% if not brings %}
  AND s.session_key IS NULL
  AND t.session_key IS NULL
  {% endif %}
  AND {{ is_of_its_day('m' | identifier) }}
