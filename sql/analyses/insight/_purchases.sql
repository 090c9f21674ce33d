{# The purchases of a goal, and what buyers were like before; import `with context`. A purchase is an occurrence of
   `@conversion`; of those of one actor with one transaction id in a property, the earliest counts. Purchases of one actor
   on one day of the property are one. It reads `by`: 'nothing', 'first_micro_conversion' or 'first_channel'. #}
{% from 'analyses/_value.sql' import copy_number, value_of with context %}
{% from 'analyses/_sessions.sql' import channel with context %}

{# CTEs `buying_days`: actor_key, event_date, value_micros (what the day's purchases are worth, in units of 1e-6 of the
   project's currency), for days up to `@until_date`; `buyers`: actor_key, first_date, and what they are split by, `context`, for those
   whose first purchase lies in the days asked for, and not after `@end_date`. #}
{% macro buyers() -%}
occurrences AS (
  SELECT
    m.actor_key,
    m.event_date,
    m.event_order,
    COALESCE({{ value_of('m' | identifier) }}, 0) AS value,
    {{ copy_number('m' | identifier) }} AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion AND m.actor_key IS NOT NULL
),

buying_days AS (
  SELECT
    o.actor_key,
    o.event_date,
    MIN(o.event_order) AS event_order,
    CAST(SUM(CAST(ROUND(o.value * 1e6) AS INT64)) AS INT64) AS value_micros
  FROM occurrences AS o
  WHERE o.copy_number = 1 AND o.event_date <= @until_date
  GROUP BY o.actor_key, o.event_date
),

first_purchases AS (
  SELECT d.actor_key, MIN(d.event_date) AS first_date, MIN(d.event_order) AS first_order
  FROM buying_days AS d
  GROUP BY d.actor_key
),

{% if by != 'nothing' %}
first_seen AS (
  SELECT
    s.actor_key,
    COALESCE(s.session_number, 1) > 1 AS began_before,
    IF(s.source_rule = 'last_non_direct', 'Direct', {{ channel('s' | identifier) }}) AS channel_group
  FROM {{ relation('mc_sessions') }} AS s
  INNER JOIN first_purchases AS f ON f.actor_key = s.actor_key
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
),

{% endif %}
{% if by == 'first_micro_conversion' %}
entries AS (
  SELECT name, place
  FROM UNNEST(@entries) AS name WITH OFFSET AS place
),

first_done AS (
  SELECT m.actor_key, m.micro_conversion
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN entries AS e ON e.name = m.micro_conversion
  INNER JOIN first_purchases AS f ON f.actor_key = m.actor_key
  WHERE m.event_order <= f.first_order
  QUALIFY ROW_NUMBER() OVER (PARTITION BY m.actor_key ORDER BY m.event_order, m.client_key, e.place) = 1
),

{% endif %}
buyers AS (
  SELECT
    f.actor_key,
    f.first_date,
    {% if by == 'nothing' %}
    '' AS context
    {% elif by == 'first_channel' %}
    IF(COALESCE(s.began_before, FALSE), '(before the data)', COALESCE(s.channel_group, '(none)')) AS context
    {% else %}
    IF(COALESCE(s.began_before, FALSE), '(before the data)', COALESCE(e.micro_conversion, '(none)')) AS context
    {% endif %}
  FROM first_purchases AS f
  {% if by != 'nothing' %}
  LEFT JOIN first_seen AS s ON s.actor_key = f.actor_key
  {% endif %}
  {% if by == 'first_micro_conversion' %}
  LEFT JOIN first_done AS e ON e.actor_key = f.actor_key
  {% endif %}
  WHERE
    f.first_date <= @end_date
    AND (@first_date IS NULL OR f.first_date >= @first_date)
    AND (@last_date IS NULL OR f.first_date <= @last_date)
)
{%- endmacro %}
