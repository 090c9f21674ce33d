-- Page views of pages that do not exist: their title or address says so.
-- severity: note
-- finding: {count} of {total} page views ({share}) {dates} are of a page that was not found, as their {subject} says.
-- remedy: Find the links that lead there by their referrers, and mend or redirect them; advertisements that lead
--   there cost money for nothing.
-- threshold: min_share FLOAT64 = 0.005 share of page views from which it is told
-- threshold: min_count INT64 = 20 page views from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
WITH days AS (
  SELECT
    p.parameter AS subject,
    p.event_date,
    CAST(SUM(p.rows_not_found) AS INT64) AS count,
    CAST(SUM(p.event_rows) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.event_name IN ('page_view', 'screen_view')
    AND p.parameter IN ('page_title', 'page_location')
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter, p.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
