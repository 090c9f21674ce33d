-- Pages whose UTM parameters stand in the path of the address, where GA4 does not read them.
-- severity: warning
-- finding: {count} of {total} page views ({share}) {dates} have UTM parameters in the path of their address, such as
--   {detail}.
-- remedy: Begin the parameters of the link with a question mark (page?utm_source=…), and add further ones with &. GA4
--   does not see the campaign otherwise, and counts each such address as a page of its own.
-- threshold: min_count INT64 = 10 page views from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH days AS (
  SELECT
    e.event_date,
    COUNTIF(REGEXP_CONTAINS(e.page_location, r'^[^?#]*utm_(?:source|medium|campaign)(?:=|%3[Dd])')) AS count,
    COUNT(*) AS total,
    MIN(
      REGEXP_EXTRACT(e.page_location, r'^[^?#]*?(utm_(?:source|medium|campaign)(?:=|%3[Dd])[A-Za-z0-9_.-]{0,40})')
    ) AS detail
  FROM {{ relation('mc_events') }} AS e
  WHERE e.event_name IN ('page_view', 'screen_view') AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_date
),

summed AS (
  SELECT d.*, SUM(d.count) OVER () AS count_of_all
  FROM days AS d
)

SELECT 'page_location' AS subject, s.event_date, s.count, s.total, s.detail
FROM summed AS s
WHERE s.count > 0 AND s.count_of_all >= @min_count
ORDER BY subject, event_date
