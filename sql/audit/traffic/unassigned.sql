-- Sessions whose source and medium fit none of GA4's channels, by what they name.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} are Unassigned since they come with source / medium {subject}.
-- remedy: Tag links with a medium that GA4's default channel groups know (cpc, email, social, referral, affiliate,
--   display); who sends this source and medium is told by their landing pages. Channels and attribution cannot credit
--   such sessions.
-- threshold: min_share FLOAT64 = 0.01 share of sessions from which it is told
-- threshold: min_count INT64 = 10 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
WITH sessions AS (
  SELECT
    s.session_date AS event_date,
    IF(
      s.channel_group = 'Unassigned',
      CONCAT(COALESCE(s.source, '(not set)'), ' / ', COALESCE(s.medium, '(not set)')),
      NULL
    ) AS subject
  FROM {{ relation('mc_sessions') }} AS s
  WHERE {{ in_period('s.session_date' | identifier) }}
),

counts AS (
  SELECT s.subject, s.event_date, COUNT(*) AS count, CAST(NULL AS STRING) AS detail
  FROM sessions AS s
  WHERE s.subject IS NOT NULL
  GROUP BY s.subject, s.event_date
),

totals AS (
  SELECT s.event_date, COUNT(*) AS total
  FROM sessions AS s
  GROUP BY s.event_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
