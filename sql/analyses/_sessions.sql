{# What analyses say of sessions; import `with context`. #}

{# The default channel group of a session. #}
{% macro channel(s) -%}
  COALESCE({{ s }}.channel_group, 'Unassigned')
{%- endmacro %}

{# CTE `first_sessions`: actor_key and the first session of each actor, as `value` of the expression called with. #}
{% macro first_sessions() -%}
first_sessions AS (
  SELECT s.actor_key, {{ caller('s' | identifier) }} AS value
  FROM {{ relation('mc_sessions') }} AS s
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
)
{%- endmacro %}
