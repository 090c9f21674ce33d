-- Sources, media and campaigns that are written in several ways: capitals, spaces, separators, a letter, or swapped.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} have {subject} written in another way than most: {detail}.
-- remedy: Agree on one way of writing (lower case, no spaces) and mend the links. GA4 shows each way as a line of its
--   own, and some of them fall out of their channel.
-- threshold: min_share FLOAT64 = 0.01 share of the sessions of all ways of writing from which it is told
-- threshold: min_count INT64 = 10 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH tagged AS (
  SELECT e.session_key, e.traffic_source, e.traffic_medium, e.traffic_campaign, MIN(e.event_date) AS event_date
  FROM {{ relation('mc_events') }} AS e
  WHERE
    e.session_key IS NOT NULL
    AND e.traffic_source IS NOT NULL
    AND COALESCE(e.traffic_medium, '') NOT IN ('referral', 'organic', '(none)')
    AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.session_key, e.traffic_source, e.traffic_medium, e.traffic_campaign
),

written AS (
  SELECT 'source / medium' AS what, CONCAT(t.traffic_source, ' / ', COALESCE(t.traffic_medium, '')) AS way, t.event_date
  FROM tagged AS t
  UNION ALL
  SELECT 'campaign' AS what, t.traffic_campaign AS way, t.event_date
  FROM tagged AS t
  WHERE t.traffic_campaign IS NOT NULL
),

ways AS (
  SELECT w.what, w.way, COUNT(*) AS sessions, REGEXP_REPLACE(LOWER(w.way), r'[ _.+-]|%20', '') AS form
  FROM written AS w
  GROUP BY w.what, w.way
),

-- One letter left out, put in, changed, or two swapped: then the two have a text in common that lacks one letter of
-- each. Only the rare beside the frequent is a slip; digits tell campaigns apart.
forms AS (
  SELECT w.what, w.form, SUM(w.sessions) AS sessions
  FROM ways AS w
  WHERE w.what = 'source / medium' AND LENGTH(w.form) BETWEEN 8 AND 60 AND NOT REGEXP_CONTAINS(w.form, r'[0-9]')
  GROUP BY w.what, w.form
),

shortened AS (
  SELECT f.form, f.sessions, f.form AS rest
  FROM forms AS f
  UNION ALL
  SELECT DISTINCT f.form, f.sessions, CONCAT(LEFT(f.form, place), RIGHT(f.form, LENGTH(f.form) - place - 1)) AS rest
  FROM forms AS f
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, 59)) AS place
  WHERE place < LENGTH(f.form)
),

slips AS (
  SELECT rare.form, ANY_VALUE(frequent.form HAVING MAX frequent.sessions) AS meant
  FROM shortened AS rare
  INNER JOIN shortened AS frequent ON frequent.rest = rare.rest AND frequent.sessions >= 5 * rare.sessions
  WHERE frequent.form != rare.form
  GROUP BY rare.form
),

spelt AS (
  SELECT w.what, w.way, w.sessions, COALESCE(IF(w.what = 'source / medium', s.meant, NULL), w.form) AS form
  FROM ways AS w
  LEFT JOIN slips AS s ON s.form = w.form
),

-- "google / cpc" beside "cpc / google".
turned AS (
  SELECT DISTINCT
    s.form,
    CONCAT(REGEXP_EXTRACT(s.form, r'^[^/]*/(.*)$'), '/', REGEXP_EXTRACT(s.form, r'^([^/]*)/')) AS other_form
  FROM spelt AS s
  WHERE s.what = 'source / medium'
),

meant AS (
  SELECT s.what, s.way, s.sessions, IF(o.form IS NULL, s.form, LEAST(s.form, o.form)) AS form
  FROM spelt AS s
  LEFT JOIN turned AS t ON t.form = s.form AND s.what = 'source / medium'
  LEFT JOIN turned AS o ON o.form = t.other_form
),

ranked AS (
  SELECT
    m.*,
    ROW_NUMBER() OVER (PARTITION BY m.what, m.form ORDER BY m.sessions DESC, m.way) AS place,
    COUNT(*) OVER (PARTITION BY m.what, m.form) AS ways
  FROM meant AS m
),

told_ways AS (
  SELECT
    r.what,
    r.form,
    MAX(IF(r.place = 1, r.way, NULL)) AS usual,
    SUM(r.sessions) AS sessions,
    SUM(IF(r.place = 1, 0, r.sessions)) AS other_sessions,
    STRING_AGG(IF(r.place BETWEEN 2 AND 4, r.way, NULL), ', ' ORDER BY r.place) AS others
  FROM ranked AS r
  WHERE r.ways > 1
  GROUP BY r.what, r.form
)

SELECT
  CONCAT('the ', t.what, ' ', t.usual) AS subject,
  w.event_date,
  COUNTIF(r.place > 1) AS count,
  COUNT(*) AS total,
  t.others AS detail
FROM told_ways AS t
INNER JOIN ranked AS r ON r.what = t.what AND r.form = t.form
INNER JOIN written AS w ON w.what = r.what AND w.way = r.way
WHERE t.other_sessions >= @min_count AND t.other_sessions >= @min_share * t.sessions
GROUP BY t.what, t.usual, t.form, t.others, w.event_date
HAVING COUNTIF(r.place > 1) > 0
ORDER BY subject, event_date
