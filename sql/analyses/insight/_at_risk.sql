{# Whose time is looked at, in lift and balance: actors from their first session in the data until the target. #}
{% macro first_sessions() -%}
numbered_sessions AS (
  SELECT
    s.actor_key, s.session_key, s.session_date, s.session_number, s.started_at, s.device_category, s.channel_group,
    s.country,
    ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) AS place
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at < @end_at
),

first_sessions AS (
  SELECT n.*
  FROM numbered_sessions AS n
  WHERE
    n.place = 1
    AND (@first_date IS NULL OR n.session_date >= @first_date)
    AND (@last_date IS NULL OR n.session_date <= @last_date)
)
{%- endmacro %}

{# Countries of many actors are strata of their own, the others one together. #}
{% macro counted_countries() -%}
counted_countries AS (
  SELECT n.country, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, n.country) AS place
  FROM first_sessions AS n
  WHERE n.country IS NOT NULL
  GROUP BY n.country
)
{%- endmacro %}

{% macro reached() -%}
reached AS (
  SELECT m.actor_key, MIN(DIV(UNIX_MICROS(m.event_at), 1000)) AS target_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@targets) AND m.event_at < @end_at
  GROUP BY m.actor_key
)
{%- endmacro %}
