{# What checks of volume share; import `with context`. #}

{# The staged days of each property: all events that have a client, whether the day's numbers may still change, and whether it
   lies in the period asked for. Baselines come from all staged days, whatever the period. #}
{% macro days(standing) %}
  SELECT
    s.property,
    s.event_date,
    CAST(SUM(s.events - s.consentless_events) AS INT64) AS events,
    LOGICAL_OR(t.is_provisional) AS is_provisional,
    (@first_date IS NULL OR s.event_date >= @first_date) AND (@last_date IS NULL OR s.event_date <= @last_date) AS is_asked
  FROM {{ relation('mc_shards') }} AS s
  INNER JOIN {{ standing | identifier }} AS t ON t.property = s.property AND t.event_date = s.event_date
  GROUP BY s.property, s.event_date
{% endmacro %}

{# Entries of the taxonomy by their occurrences, and the events that no entry counts whole by their rows: every day of each
   that has 20 at least, days without included. How many visitors are new is not a matter of a tag, and all are on the first days
   of a property: first visits are left out. #}
{% macro series() %}
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

days AS ({{ days('standing') }}),

seen AS (
  SELECT m.property, m.event_date, m.micro_conversion AS subject, COUNT(*) AS occurrences
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entry_ids)
  GROUP BY m.property, m.event_date, m.micro_conversion
  UNION ALL
  SELECT e.property, e.event_date, e.event_name AS subject, COUNT(*) AS occurrences
  FROM {{ relation('mc_events') }} AS e
  WHERE
    e.client_key IS NOT NULL
    AND e.event_name NOT IN ('first_visit', 'first_open')
    AND e.event_name NOT IN UNNEST(@counted_events)
    AND e.event_name NOT IN UNNEST(@entry_ids)
  GROUP BY e.property, e.event_date, e.event_name
),

subjects AS (
  SELECT s.property, s.subject
  FROM seen AS s
  GROUP BY s.property, s.subject
  HAVING SUM(s.occurrences) >= 20
)

SELECT
  d.property,
  u.subject,
  d.event_date,
  COALESCE(s.occurrences, 0) AS count,
  d.events AS total,
  d.is_provisional,
  d.is_asked
FROM days AS d
INNER JOIN subjects AS u ON u.property = d.property
LEFT JOIN seen AS s ON s.property = d.property AND s.event_date = d.event_date AND s.subject = u.subject
ORDER BY d.property, u.subject, d.event_date
{% endmacro %}
