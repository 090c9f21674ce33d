-- Events that the same person sends in two data streams within a second: a page carries two tags, or an app and the
-- page that it shows both report. Each act counts twice, for two clients.
-- severity: warning
-- finding: {count} of {total} {subject} events ({share}) came in two data streams from one person within a second,
--   {dates}: streams {detail}.
-- remedy: Keep one tag on these pages, or exclude one of the streams from the analysis. In apps, report either natively
--   or in the page that the app shows.
-- threshold: min_share FLOAT64 = 0.02 share of the event's rows of a day from which it is told
-- threshold: min_count INT64 = 5 rows of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, listened_events ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH people AS (
  SELECT
    e.property,
    e.event_date,
    e.event_name,
    e.event_at,
    e.event_order,
    e.stream_id,
    COALESCE(CONCAT('u|', e.user_id), CONCAT('c|', e.user_pseudo_id)) AS person
  FROM {{ relation('mc_events') }} AS e
  WHERE
    e.event_name IN UNNEST(@listened_events)
    AND e.client_key IS NOT NULL
    AND {{ in_period('e.event_date' | identifier) }}
),

-- Most properties have one stream, and most people one too.
in_two AS (
  SELECT p.property, p.person
  FROM people AS p
  GROUP BY p.property, p.person
  HAVING COUNT(DISTINCT p.stream_id) > 1
),

neighbours AS (
  SELECT
    p.event_name,
    p.event_date,
    p.stream_id,
    LAG(p.stream_id) OVER (
      PARTITION BY p.property, p.person, p.event_name ORDER BY p.event_at, p.event_order, p.stream_id
    ) AS other_stream,
    UNIX_MICROS(p.event_at) - LAG(UNIX_MICROS(p.event_at)) OVER (
      PARTITION BY p.property, p.person, p.event_name ORDER BY p.event_at, p.event_order, p.stream_id
    ) AS gap_us
  FROM people AS p
  INNER JOIN in_two AS t ON t.property = p.property AND t.person = p.person
),

doubles AS (
  SELECT
    n.event_name,
    n.event_date,
    COUNT(*) AS doubles,
    MIN(IF(
      n.stream_id < n.other_stream,
      CONCAT(n.stream_id, ' and ', n.other_stream), CONCAT(n.other_stream, ' and ', n.stream_id)
    )) AS streams
  FROM neighbours AS n
  WHERE n.stream_id != n.other_stream AND n.gap_us <= 1000000
  GROUP BY n.event_name, n.event_date
),

totals AS (
  SELECT p.event_name, p.event_date, COUNT(*) AS total
  FROM people AS p
  GROUP BY p.event_name, p.event_date
),

days AS (
  SELECT t.event_name AS subject, t.event_date, COALESCE(d.doubles, 0) AS count, t.total, d.streams AS detail
  FROM totals AS t
  LEFT JOIN doubles AS d ON d.event_name = t.event_name AND d.event_date = t.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
