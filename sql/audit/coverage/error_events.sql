-- What GA4 itself says it could not take: events of the name firebase_error (or error, in apps), and parameters that
-- name an error code on other events.
-- severity: warning
-- finding: GA4 refused something on {count} of {total} {subject} events ({share}) {dates}: {detail}.
-- remedy: Look at the parameter firebase_error_value of these events: it names what was refused. Mend it in the app.
-- threshold: min_count INT64 = 1 such events of a day from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, error_codes ARRAY<STRING>, error_meanings ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH meanings AS (
  SELECT error_code, @error_meanings[OFFSET(place)] AS meaning
  FROM UNNEST(@error_codes) AS error_code WITH OFFSET AS place
),

-- Of each event and day, the rows that say an error, with the commonest code.
coded AS (
  SELECT
    p.event_name,
    p.event_date,
    SUM(p.event_rows) AS coded_rows,
    ANY_VALUE(p.example HAVING MAX p.event_rows) AS error_code
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter IN ('firebase_error', 'firebase_error_code', 'error_code')
    AND (p.parameter != 'error_code' OR p.event_name IN ('firebase_error', 'error'))
    AND p.value_type != 'null'
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name, p.event_date
),

sent AS (
  SELECT
    p.event_name,
    p.event_date,
    SUM(p.event_rows) AS event_rows,
    SUM(IF(
      p.event_name = 'firebase_error' OR p.event_name = 'error' AND p.platform IN ('ANDROID', 'IOS'), p.event_rows, 0
    )) AS error_rows
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.parameter = ''
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.event_name, p.event_date
),

errors AS (
  SELECT
    s.event_name,
    s.event_date,
    s.event_rows,
    -- On the web, an event called error is the site's own, whatever its parameters are.
    IF(
      s.event_name = 'error', s.error_rows, LEAST(s.event_rows, GREATEST(s.error_rows, COALESCE(c.coded_rows, 0)))
    ) AS error_rows,
    c.error_code
  FROM sent AS s
  LEFT JOIN coded AS c ON c.event_name = s.event_name AND c.event_date = s.event_date
)

SELECT
  e.event_name AS subject,
  e.event_date,
  CAST(e.error_rows AS INT64) AS count,
  CAST(e.event_rows AS INT64) AS total,
  CASE
    WHEN e.error_code IS NULL THEN 'no code'
    ELSE CONCAT('code ', e.error_code, COALESCE(CONCAT(', ', m.meaning), ''))
  END AS detail
FROM errors AS e
LEFT JOIN meanings AS m ON m.error_code = e.error_code
WHERE e.error_rows >= @min_count
ORDER BY subject, e.event_date
