-- Actors whose derived occurrences may be others now: those of the rows that a batch adds or takes away, of the sessions that
-- it touches or moves, and those whose wait ends on a day that the data have reached, or no longer reach.
-- A batch is of shards, or brings what another system told (`brings`).
-- grain: actor_key
-- params: property STRING, changed_dates ARRAY<DATE>, first_session DATE, last_session DATE, waiting ARRAY<STRING>,
--   first_waiting DATE, last_waiting DATE
-- structure: brings
WITH
{% if brings %}
concerned AS (
  SELECT n.actor_key
  FROM {{ relation(brings) }} AS n
  UNION ALL
  SELECT o.actor_key
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.property = @property AND o.event_date IN UNNEST(@changed_dates) AND o.external_source IS NOT NULL
)
{% else %}
sessions_at_hand AS (
  SELECT t.session_key
  FROM {{ relation('touched_sessions') }} AS t
  UNION ALL
  SELECT m.session_key
  FROM {{ relation('moved_sessions') }} AS m
),

concerned AS (
  SELECT n.actor_key
  FROM {{ relation('micro_conversions') }} AS n
  UNION ALL
  SELECT g.actor_key
  FROM {{ relation('signals') }} AS g
  {% for table in ['mc_micro_conversions', 'mc_signals'] %}
  UNION ALL
  SELECT o.actor_key
  FROM {{ relation(table) }} AS o
  WHERE o.property = @property AND o.event_date IN UNNEST(@changed_dates)
  UNION ALL
  SELECT w.actor_key
  FROM {{ relation(table) }} AS w
  WHERE
    w.property = @property
    AND w.event_date BETWEEN @first_waiting AND @last_waiting
    AND w.micro_conversion IN UNNEST(@waiting)
  {% endfor %}
  UNION ALL
  SELECT s.actor_key
  FROM {{ relation('sessions') }} AS s
  INNER JOIN sessions_at_hand AS h ON h.session_key = s.session_key
  UNION ALL
  SELECT b.actor_key
  FROM {{ relation('mc_sessions') }} AS b
  INNER JOIN sessions_at_hand AS h ON h.session_key = b.session_key
  WHERE b.property = @property AND b.session_date BETWEEN @first_session AND @last_session
)
{% endif %}

SELECT DISTINCT c.actor_key
FROM concerned AS c
WHERE c.actor_key IS NOT NULL
