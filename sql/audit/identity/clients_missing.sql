-- Events without a client: their visitor did not consent, or the tag lost the client's id. They are in no session,
-- funnel or segment.
-- severity: note
-- finding: {count} of {total} events ({share}) have no client {dates}: they are in no session, funnel or segment.
-- remedy: With consent mode this is what visitors who decline send, and nothing is wrong. Without it, look at the tag's
--   client id.
-- threshold: min_share FLOAT64 = 0.01 share of a day's events from which it is told
-- threshold: min_count INT64 = 50 events of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    '' AS subject,
    h.event_date,
    CAST(SUM(h.consentless_events) AS INT64) AS count,
    CAST(SUM(h.events) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_shards') }} AS h
  WHERE {{ in_period('h.event_date' | identifier) }}
  GROUP BY h.event_date
)

{{ standing_out('days') }}
ORDER BY event_date
