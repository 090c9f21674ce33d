-- Events without ga_session_id of clients that do have a session on the day: one of their tags does not send it. What
-- clients without any session send is told by `clients_without_sessions`.
-- severity: warning
-- finding: {count} of {total} {subject} events ({share}) have no ga_session_id {dates}, though their clients have a
--   session that day.
-- remedy: Send ga_session_id with this event: read it with the tag's own function (gtag "get", session_id), or from the
--   cookie on a server.
-- threshold: min_share FLOAT64 = 0.02 share of the event's rows of a day from which it is told
-- threshold: min_count INT64 = 10 rows of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, sessionless_events ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH rows_of_clients AS (
  SELECT
    e.event_name,
    e.event_date,
    e.client_key,
    COUNTIF(e.session_key IS NULL) AS rows_without,
    COUNT(*) AS event_rows
  FROM {{ relation('mc_events') }} AS e
  WHERE
    e.client_key IS NOT NULL
    AND e.event_name NOT IN UNNEST(@sessionless_events)
    AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.event_date, e.client_key
),

-- Clients with such rows are few, and theirs are the only sessions to look for.
clients AS (
  SELECT r.client_key, r.event_date, SUM(r.event_rows - r.rows_without) AS rows_with
  FROM rows_of_clients AS r
  GROUP BY r.client_key, r.event_date
  HAVING SUM(r.rows_without) > 0
),

days AS (
  SELECT
    r.event_name AS subject,
    r.event_date,
    CAST(SUM(IF(c.rows_with > 0, r.rows_without, 0)) AS INT64) AS count,
    CAST(SUM(r.event_rows) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM rows_of_clients AS r
  LEFT JOIN clients AS c ON c.client_key = r.client_key AND c.event_date = r.event_date
  GROUP BY r.event_name, r.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
