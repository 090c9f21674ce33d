-- What a guardrail counts on each staged day whose numbers are final, and what it is counted per. `actors` are all actors from
-- `window_date` on: one who comes on several days is one of them.
-- grain: event_date
-- params: first_date DATE, window_date DATE, last_date DATE, counted STRING, per STRING
-- structure: counted, per
{% import '_standing.sql' as standing with context %}
WITH standing AS ({{ standing.days() }}),

final_days AS (
  SELECT t.event_date
  FROM standing AS t
  WHERE t.event_date BETWEEN @first_date AND @last_date
  GROUP BY t.event_date
  HAVING NOT LOGICAL_OR(t.is_provisional)
),

{% if counted != 'nothing' %}
counts AS (
  {% if counted == 'bounced' or counted == 'engaged' %}
  SELECT
    s.session_date AS event_date,
    COUNTIF({% if counted == 'bounced' %}NOT {% endif %}COALESCE(s.is_engaged, FALSE)) AS counted
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.session_date BETWEEN @first_date AND @last_date
  GROUP BY s.session_date
  {% elif counted == 'entry' %}
  SELECT m.event_date, COUNT(*) AS counted
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @counted AND m.event_date BETWEEN @first_date AND @last_date
  GROUP BY m.event_date
  {% else %}
  SELECT e.event_date, COUNT(*) AS counted
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name = @counted AND e.event_date BETWEEN @first_date AND @last_date
  GROUP BY e.event_date
  {% endif %}
),

{% endif %}
units AS (
  {% if per == 'entry' %}
  SELECT m.event_date, COUNT(*) AS units
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @per AND m.event_date BETWEEN @first_date AND @last_date
  GROUP BY m.event_date
  {% else %}
  SELECT s.session_date AS event_date, {% if per == 'actors' %}COUNT(DISTINCT s.actor_key){% else %}COUNT(*){% endif %} AS units
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.session_date BETWEEN @first_date AND @last_date
  GROUP BY s.session_date
  {% endif %}
)

SELECT
  d.event_date,
  {% if counted == 'nothing' %}0{% else %}COALESCE(c.counted, 0){% endif %} AS counted,
  COALESCE(u.units, 0) AS units,
  {% if per == 'actors' %}
  (
    SELECT COUNT(DISTINCT s.actor_key)
    FROM {{ relation('mc_sessions') }} AS s
    WHERE s.session_date BETWEEN @window_date AND @last_date
  ) AS actors
  {% else %}
  CAST(NULL AS INT64) AS actors
  {% endif %}
FROM final_days AS d
{% if counted != 'nothing' %}
LEFT JOIN counts AS c ON c.event_date = d.event_date
{% endif %}
LEFT JOIN units AS u ON u.event_date = d.event_date
ORDER BY d.event_date
