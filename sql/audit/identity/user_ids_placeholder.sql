-- User ids that are what a tag sends when it knows none (undefined, null, 0, guest): they count as no user here, and as
-- one huge user in GA4.
-- severity: warning
-- finding: {count} of {total} user ids ({share}) are placeholders such as undefined, null or 0 {dates}. GA4 takes all
--   of them for one user.
-- remedy: Send user_id only when somebody is signed in.
-- threshold: min_share FLOAT64 = 0.005 share of a day's events with a user id from which it is told
-- threshold: min_count INT64 = 10 events of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    'user_id' AS subject,
    h.event_date,
    CAST(SUM(COALESCE(h.placeholder_user_ids, 0)) AS INT64) AS count,
    CAST(SUM(COALESCE(h.placeholder_user_ids, 0) + COALESCE(h.user_ids, 0)) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_shards') }} AS h
  WHERE {{ in_period('h.event_date' | identifier) }}
  GROUP BY h.event_date
)

{{ standing_out('days') }}
ORDER BY event_date
