-- What a batch of changed days holds: rows to keep in mc_shards, and when the events of a day begin and end.
-- grain: event_date
-- params: none
{% from 'staging/_spans.sql' import spans %}
WITH {{ spans(relation('changed_events')) }},

sessionless AS (
  SELECT c.event_date, c.client_key, COUNT(*) AS events
  FROM {{ relation('changed_events') }} AS c
  WHERE c.client_key IS NOT NULL AND c.session_key IS NULL
  GROUP BY c.event_date, c.client_key
),

-- Those of them that have a session on the same day after all.
in_session AS (
  SELECT DISTINCT c.event_date, c.client_key
  FROM {{ relation('changed_events') }} AS c
  INNER JOIN sessionless AS s ON s.event_date = c.event_date AND s.client_key = c.client_key
  WHERE c.session_key IS NOT NULL
),

strangers AS (
  SELECT s.event_date, SUM(s.events) AS events
  FROM sessionless AS s
  LEFT JOIN in_session AS i ON i.event_date = s.event_date AND i.client_key = s.client_key
  WHERE i.client_key IS NULL
  GROUP BY s.event_date
),

counts AS (
  SELECT
    c.event_date,
    COUNT(*) AS events,
    SUM(c.copies) - COUNT(*) AS duplicates_removed,
    COUNTIF(c.client_key IS NULL) AS consentless_events,
    COUNTIF(c.placeholder_client_id) AS placeholder_client_ids,
    COUNT(c.user_id) AS user_ids,
    COUNTIF(c.placeholder_user_id) AS placeholder_user_ids,
    COUNT(c.transaction_id) AS transaction_ids,
    COUNTIF(c.placeholder_transaction_id) AS placeholder_transaction_ids,
    -- A day begins 14 hours before UTC's at the earliest, and ends 12 hours after it at the latest.
    COUNTIF(
      UNIX_MICROS(c.event_at) < UNIX_DATE(c.event_date) * 86400000000 - 50400000000
      OR UNIX_MICROS(c.event_at) >= UNIX_DATE(c.event_date) * 86400000000 + 129600000000
    ) AS stray_events,
    COUNTIF(c.event_at IS NULL OR c.event_name IS NULL) AS incomplete_events
  FROM {{ relation('changed_events') }} AS c
  GROUP BY c.event_date
)

SELECT
  c.event_date,
  c.events,
  c.duplicates_removed,
  c.consentless_events,
  COALESCE(t.events, 0) AS sessionless_events,
  c.placeholder_client_ids,
  c.user_ids,
  c.placeholder_user_ids,
  c.transaction_ids,
  c.placeholder_transaction_ids,
  c.stray_events,
  c.incomplete_events,
  s.first_event_at,
  s.last_event_at
FROM counts AS c
-- Rows without a date are a day of their own, which begins and ends nowhere.
LEFT JOIN spans AS s ON s.event_date = c.event_date
LEFT JOIN strangers AS t ON t.event_date = c.event_date
ORDER BY c.event_date
