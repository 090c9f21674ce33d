-- User ids that are e-mail addresses: Google forbids sending what names a person, and may delete the property's data.
-- severity: error
-- finding: {count} of {total} events with a user id ({share}) have an e-mail address in its place {dates}, such as
--   {detail} (masked).
-- remedy: Send an id of your own that names nobody, such as the account's number, and ask Google to delete what was
--   sent. A hash of the address is not enough.
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH users AS (
  SELECT e.user_id, e.event_date, COUNT(*) AS event_rows
  FROM {{ relation('mc_events') }} AS e
  WHERE e.user_id IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.user_id, e.event_date
),

looked_at AS (
  SELECT
    u.event_date,
    u.event_rows,
    REGEXP_CONTAINS(u.user_id, r'^[^\s@/]+(?:@|%40)[^\s@/]+\.[^\s@/.]{2,}$') AS is_address,
    REGEXP_REPLACE(REGEXP_REPLACE(u.user_id, r'[^0-9@.%_+-]', 'a'), r'[0-9]', '0') AS masked
  FROM users AS u
)

SELECT
  'user_id' AS subject,
  l.event_date,
  CAST(SUM(IF(l.is_address, l.event_rows, 0)) AS INT64) AS count,
  CAST(SUM(l.event_rows) AS INT64) AS total,
  MIN(IF(l.is_address, SUBSTR(l.masked, 1, 60), NULL)) AS detail
FROM looked_at AS l
GROUP BY l.event_date
HAVING COUNTIF(l.is_address) > 0
ORDER BY l.event_date
