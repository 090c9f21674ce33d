-- Visits that break on the way from one host of the property to another: a new session begins there within seconds, or
-- the visitor counts as a new one.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) began on the way {subject}, {dates}: the visit was cut in two there.
-- remedy: List both hosts under Configure your domains (Admin, Data streams, Configure tag settings), so that links
--   between them carry the client's id, and check that links and forms keep the parameter _gl.
-- threshold: min_share FLOAT64 = 0.005 share of a day's sessions from which it is told
-- threshold: min_count INT64 = 10 sessions of a day below which a single day is not told
-- threshold: max_pause FLOAT64 = 60 seconds since the client's last event within which a session is the same visit
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
{# The part of a host that somebody registered: `example.com` of `shop.example.com`, `example.co.uk`. #}
{% macro domain(host) -%}
REGEXP_EXTRACT({{ host }}, r'([^.]+\.(?:(?:ac|co|com|gov|net|org)\.)?[^.]+)$')
{%- endmacro %}
WITH hosts AS (
  SELECT DISTINCT h.property, h.host
  FROM {{ relation('mc_hosts') }} AS h
),

sessions AS (
  SELECT
    s.property,
    s.session_key,
    s.session_date,
    s.session_number,
    s.self_referrer,
    UNIX_MICROS(s.started_at) - MAX(UNIX_MICROS(s.ended_at)) OVER (
      PARTITION BY s.client_key ORDER BY s.started_at, s.session_key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS pause_us
  FROM {{ relation('mc_sessions') }} AS s
),

candidates AS (
  SELECT s.session_key, s.session_date, s.self_referrer, s.pause_us
  FROM sessions AS s
  INNER JOIN hosts AS h ON h.property = s.property AND h.host = s.self_referrer
  WHERE
    (s.pause_us BETWEEN 0 AND @max_pause * 1000000 OR s.pause_us IS NULL AND s.session_number = 1)
    AND {{ in_period('s.session_date' | identifier) }}
),

landings AS (
  SELECT e.session_key, ANY_VALUE(e.page_host HAVING MIN e.event_order) AS page_host
  FROM {{ relation('mc_events') }} AS e
  INNER JOIN candidates AS c ON c.session_key = e.session_key
  WHERE e.page_host IS NOT NULL
  GROUP BY e.session_key
),

-- Who is new here, and comes from a page of ours that is measured, was there under another client. Hosts of one domain
-- share the client's cookie: there, only the pause tells.
broken AS (
  SELECT c.session_date, CONCAT('from ', c.self_referrer, ' to ', l.page_host) AS way
  FROM candidates AS c
  INNER JOIN landings AS l ON l.session_key = c.session_key
  WHERE
    l.page_host != c.self_referrer
    AND (
      c.pause_us IS NOT NULL
      OR {{ domain('c.self_referrer' | identifier) }} != {{ domain('l.page_host' | identifier) }}
    )
),

ways AS (
  SELECT b.session_date, b.way, COUNT(*) AS sessions
  FROM broken AS b
  GROUP BY b.session_date, b.way
),

totals AS (
  SELECT s.session_date, COUNT(*) AS sessions
  FROM sessions AS s
  GROUP BY s.session_date
),

days AS (
  SELECT
    w.way AS subject,
    w.session_date AS event_date,
    w.sessions AS count,
    t.sessions AS total,
    CAST(NULL AS STRING) AS detail
  FROM ways AS w
  INNER JOIN totals AS t ON t.session_date = w.session_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
