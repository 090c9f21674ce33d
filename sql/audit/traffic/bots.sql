-- Sessions that no person makes: events faster than anybody clicks, visits over a day without a pause, crowds that
-- never engage.
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} look like a machine: {subject} ({detail}).
-- remedy: Look at country, device, host and pages of these sessions. Filter them at the tag or the server, and leave
--   them out of rates: they raise sessions and lower every conversion rate. A monitor or a test of your own belongs on
--   a list of internal traffic.
-- threshold: events_a_minute FLOAT64 = 60.0 events a minute, over a session of at least 100 events, that no person
--   reaches
-- threshold: longest_hours INT64 = 24 hours that a session may last
-- threshold: engaged_share FLOAT64 = 0.05 share of engaged sessions below which a crowd is told
-- threshold: min_share FLOAT64 = 0.001 share of sessions from which it is told
-- threshold: min_count INT64 = 10 sessions from which it is told
-- threshold: min_crowd INT64 = 50 sessions of one source, medium, device and country on a day that are a crowd
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
WITH sessions AS (
  SELECT
    s.session_date,
    s.is_engaged,
    CONCAT(
      COALESCE(s.source, '(not set)'), ' / ', COALESCE(s.medium, '(not set)'), ' on ',
      COALESCE(s.device_category, 'no device'), ' from ', COALESCE(s.country, 'no country')
    ) AS crowd,
    (UNIX_MICROS(s.ended_at) - UNIX_MICROS(s.started_at)) / 60000000 AS minutes,
    s.events
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
),

crowds AS (
  SELECT
    s.session_date,
    s.crowd,
    COUNTIF(NOT s.is_engaged) AS count,
    COUNT(*) AS sessions,
    COUNTIF(s.is_engaged) AS engaged
  FROM sessions AS s
  GROUP BY s.session_date, s.crowd
  HAVING COUNT(*) >= @min_crowd
),

totals AS (
  SELECT s.session_date AS event_date, COUNT(*) AS total, COUNTIF(s.is_engaged) AS engaged
  FROM sessions AS s
  GROUP BY s.session_date
),

-- Where hardly anybody engages at all, it is the tag that does not say so.
counts AS (
  SELECT
    CONCAT('a crowd that does not engage, ', c.crowd) AS subject,
    c.session_date AS event_date,
    c.count,
    CONCAT(CAST(c.engaged AS STRING), ' of ', CAST(c.sessions AS STRING), ' are engaged on the worst day') AS detail
  FROM crowds AS c
  INNER JOIN totals AS t ON t.event_date = c.session_date
  WHERE c.engaged < @engaged_share * c.sessions AND t.engaged - c.engaged >= 4 * @engaged_share * (t.total - c.sessions)
  UNION ALL
  SELECT
    'events faster than anybody clicks' AS subject,
    s.session_date AS event_date,
    COUNT(*) AS count,
    CONCAT('up to ', CAST(MAX(s.events) AS STRING), ' events in a session') AS detail
  FROM sessions AS s
  WHERE s.events >= 100 AND s.events > @events_a_minute * GREATEST(s.minutes, 1)
  GROUP BY s.session_date
  UNION ALL
  SELECT
    'sessions that go on for more than a day' AS subject,
    s.session_date AS event_date,
    COUNT(*) AS count,
    CONCAT('up to ', CAST(CAST(MAX(s.minutes) / 60 AS INT64) AS STRING), ' hours') AS detail
  FROM sessions AS s
  WHERE s.minutes > 60 * @longest_hours AND s.events >= 24
  GROUP BY s.session_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
