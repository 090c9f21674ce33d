-- A user id that implausibly many clients have: a placeholder, a test account, or one account of a whole team.
-- severity: warning
-- finding: Shared by many clients: the user id {subject} (masked), with {count} of {total} clients that signed in
--   ({share}). All of them count as one person.
-- remedy: If it is a placeholder or a test account, send no user_id there. If a team shares the account, leave it out
--   of segments.
-- threshold: min_clients INT64 = 30 clients from which one id is told
-- threshold: min_ratio FLOAT64 = 5 how many times as many clients as the median of the ids has
-- grain: subject
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH pairs AS (
  SELECT DISTINCT e.user_id, e.client_key
  FROM {{ relation('mc_events') }} AS e
  WHERE e.user_id IS NOT NULL AND e.client_key IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
),

users AS (
  SELECT p.user_id, COUNT(*) AS clients
  FROM pairs AS p
  GROUP BY p.user_id
),

compared AS (
  SELECT
    u.user_id,
    u.clients,
    PERCENTILE_DISC(u.clients, 0.5) OVER () AS usual_clients,
    ROW_NUMBER() OVER (ORDER BY u.clients DESC, u.user_id) AS place
  FROM users AS u
),

totals AS (
  SELECT COUNT(DISTINCT p.client_key) AS clients FROM pairs AS p
)

SELECT
  CONCAT(
    SUBSTR(REGEXP_REPLACE(REGEXP_REPLACE(c.user_id, r'[^0-9@.%_+-]', 'a'), r'[0-9]', '0'), 1, 60), ' no. ',
    CAST(c.place AS STRING)
  ) AS subject,
  CAST(NULL AS DATE) AS event_date,
  c.clients AS count,
  t.clients AS total,
  CAST(NULL AS STRING) AS detail
FROM compared AS c
CROSS JOIN totals AS t
WHERE c.clients >= @min_clients AND c.clients >= @min_ratio * c.usual_clients
ORDER BY c.place
