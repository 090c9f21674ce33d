{# What analyses say of sessions; import `with context`. #}
{% from '_keys.sql' import key %}

{# The actor of an event, as staging has it: its own user, else the actor of its session, else its client. #}
{% macro actor_of(event, session) -%}
  {% set e, s = event | identifier, session | identifier %}
  {% set user %}CONCAT('u|', {{ e }}.property, '|', {{ e }}.user_id){% endset %}
  COALESCE({{ key(user) }}, {{ s }}.actor_key, {{ e }}.client_key)
{%- endmacro %}

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
