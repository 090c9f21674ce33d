-- Events of clients that have no session at all on the day, as servers send them without ga_session_id: what they do
-- has no source and no channel.
-- severity: warning
-- finding: {count} of {total} events ({share}) come from clients that have no session on their day, {dates}: what they
--   do has no source and no channel.
-- remedy: Send ga_session_id with events of servers (Measurement Protocol) and of tags of your own.
-- threshold: min_share FLOAT64 = 0.01 share of a day's events from which it is told
-- threshold: min_count INT64 = 20 events of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    '' AS subject,
    h.event_date,
    CAST(SUM(h.sessionless_events) AS INT64) AS count,
    CAST(SUM(h.events) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_shards') }} AS h
  WHERE {{ in_period('h.event_date' | identifier) }}
  GROUP BY h.event_date
)

{{ standing_out('days') }}
ORDER BY event_date
