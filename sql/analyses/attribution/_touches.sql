{# The touches of attribution; import `with context`. It reads `touchpoint`: 'channel_group', 'source_medium',
   'campaign', 'landing_page' (sessions), or 'micro_conversion' (occurrences). #}
{% from 'analyses/_sessions.sql' import channel with context %}
{% set of_sessions = touchpoint != 'micro_conversion' %}

{# What a session is called as a touchpoint. One that took its source over from an earlier session was itself direct. #}
{% macro name_of(s) -%}
  {% if touchpoint == 'channel_group' %}
    IF({{ s }}.source_rule = 'last_non_direct', 'Direct', {{ channel(s) }})
  {%- elif touchpoint == 'source_medium' %}
    IF(
      {{ s }}.source_rule = 'last_non_direct', '(direct) / (none)',
      CONCAT(COALESCE({{ s }}.source, '(not set)'), ' / ', COALESCE({{ s }}.medium, '(not set)'))
    )
  {%- elif touchpoint == 'campaign' %}
    IF({{ s }}.source_rule = 'last_non_direct', '(direct)', COALESCE({{ s }}.campaign, '(not set)'))
  {%- elif touchpoint == 'landing_page' %}
    COALESCE({{ s }}.landing_page, '(not set)')
  {%- endif %}
{%- endmacro %}

{# CTE `touches`: actor_key, touchpoint, is_direct, touch_us, and the order of an actor's touches: touch_order,
   touch_key, touchpoint. Only those of `actors` where that names a CTE. `listed`: the touchpoints are `@touchpoints`,
   and sessions of others are the last of them; `number` is then the place in that list. `dated`: with `touch_date`, the
   property's day. #}
{% macro touches(actors, listed, dated) -%}
{% if listed %}
touchpoints AS (
  SELECT name, CAST(place AS STRING) AS number
  FROM UNNEST(@touchpoints) AS name WITH OFFSET AS place
),

{% endif %}
touches AS (
  SELECT
    {% if of_sessions %}
    s.actor_key,
    {% if listed %}
    COALESCE(n.name, '(other)') AS touchpoint,
    COALESCE(n.number, CAST(ARRAY_LENGTH(@touchpoints) - 1 AS STRING)) AS number,
    {% else %}
    {{ name_of('s' | identifier) }} AS touchpoint,
    CAST(NULL AS STRING) AS number,
    {% endif %}
    COALESCE(s.source_rule = 'last_non_direct' OR s.channel_group = 'Direct', FALSE) AS is_direct,
    UNIX_MICROS(s.started_at) AS touch_us,
    UNIX_MICROS(s.started_at) AS touch_order,
    s.session_key AS touch_key{% if dated %},
    s.session_date AS touch_date{% endif %}

  FROM {{ relation('mc_sessions') }} AS s
  {% if listed %}
  LEFT JOIN touchpoints AS n ON n.name = {{ name_of('s' | identifier) }}
  {% endif %}
  {% if actors %}
  INNER JOIN {{ actors | identifier }} AS a ON a.actor_key = s.actor_key
  {% endif %}
    {% else %}
    m.actor_key,
    m.micro_conversion AS touchpoint,
    n.number,
    FALSE AS is_direct,
    UNIX_MICROS(m.event_at) AS touch_us,
    m.event_order AS touch_order,
    m.client_key AS touch_key{% if dated %},
    m.event_date AS touch_date{% endif %}

  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN touchpoints AS n ON n.name = m.micro_conversion
  {% if actors %}
  INNER JOIN {{ actors | identifier }} AS a ON a.actor_key = m.actor_key
  {% endif %}
    {% endif %}
)
{%- endmacro %}

{# The order of an actor's touches, latest first. #}
{% macro latest_first(t) -%}
  {{ t }}.touch_order DESC, {{ t }}.touch_key DESC{% if not of_sessions %}, {{ t }}.touchpoint DESC{% endif %}
{%- endmacro %}
