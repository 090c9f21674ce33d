-- What a batch of changed days holds: rows to keep in mc_shards, and when the events of a day begin and end.
-- grain: event_date
-- params: none
{% from 'staging/_spans.sql' import spans %}
WITH {{ spans(relation('changed_events')) }},

counts AS (
  SELECT
    c.event_date,
    COUNT(*) AS events,
    SUM(c.copies) - COUNT(*) AS duplicates_removed,
    COUNTIF(c.client_key IS NULL) AS consentless_events,
    COUNTIF(c.event_at IS NULL OR c.event_name IS NULL) AS incomplete_events
  FROM {{ relation('changed_events') }} AS c
  GROUP BY c.event_date
)

SELECT
  c.event_date,
  c.events,
  c.duplicates_removed,
  c.consentless_events,
  c.incomplete_events,
  s.first_event_at,
  s.last_event_at
FROM counts AS c
-- Rows without a date are a day of their own, which begins and ends nowhere.
LEFT JOIN spans AS s ON s.event_date = c.event_date
ORDER BY c.event_date
