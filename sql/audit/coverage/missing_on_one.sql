-- Events that one platform, data stream, page host or app version alone does not send, though at least two others of
-- them send each and this one has enough traffic to expect them. One that lacks much of what the others send is another
-- kind of place, such as a blog or the host of a checkout, and not told.
-- severity: warning
-- finding: Not seen: {subject}. About {count} were to be expected from what the others send.
-- remedy: Check the tag, or the release, of that place: the event is sent everywhere else.
-- threshold: min_expected FLOAT64 = 30 events to be expected, by the lowest rate among others, to tell anything
-- grain: subject
-- params: first_date DATE, last_date DATE, listened_events ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
WITH mixes AS (
  SELECT
    e.event_name,
    e.platform,
    e.stream_id,
    e.page_host,
    e.app_version,
    COUNT(*) AS event_rows
  FROM {{ relation('mc_events') }} AS e
  WHERE {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.event_name, e.platform, e.stream_id, e.page_host, e.app_version
),

-- What stands first names a fault that two of them share.
cells AS (
  {% for dimension in ['platform', 'stream_id', 'page_host', 'app_version'] %}
  {% if not loop.first %}
  UNION ALL
  {% endif %}
  SELECT
    {{ loop.index }} AS dimension,
    {{ ('g.' ~ dimension) | identifier }} AS place,
    g.event_name,
    SUM(g.event_rows) AS event_rows
  FROM mixes AS g
  WHERE {{ ('g.' ~ dimension) | identifier }} IS NOT NULL AND {{ ('g.' ~ dimension) | identifier }} != ''
  GROUP BY place, g.event_name
  {% endfor %}
),

places AS (
  SELECT c.dimension, c.place, SUM(c.event_rows) AS place_rows
  FROM cells AS c
  GROUP BY c.dimension, c.place
),

events AS (
  SELECT DISTINCT c.dimension, c.event_name
  FROM cells AS c
  WHERE c.event_name IN UNNEST(@listened_events)
),

grid AS (
  SELECT
    p.dimension,
    p.place,
    e.event_name,
    p.place_rows,
    COALESCE(c.event_rows, 0) AS event_rows,
    COALESCE(c.event_rows, 0) / p.place_rows AS rate
  FROM places AS p
  INNER JOIN events AS e ON e.dimension = p.dimension
  LEFT JOIN cells AS c ON c.dimension = p.dimension AND c.place = p.place AND c.event_name = e.event_name
),

-- Of the other places: how many are large enough to tell, and the lowest rate among these.
compared AS (
  SELECT
    g.dimension,
    g.place,
    g.event_name,
    g.place_rows,
    g.event_rows,
    COUNT(*) AS others,
    MIN(o.rate) AS lowest_rate,
    SUM(o.event_rows) AS rows_of_others
  FROM grid AS g
  INNER JOIN grid AS o
    ON o.dimension = g.dimension
    AND o.event_name = g.event_name
    AND o.place != g.place
    -- A tenth of this one's traffic is enough to hold against it.
    AND o.place_rows * 10 >= g.place_rows
  GROUP BY g.dimension, g.place, g.event_name, g.place_rows, g.event_rows
),

judged AS (
  SELECT
    c.*,
    c.event_rows <= 0.02 * c.lowest_rate * c.place_rows AS is_missing,
    COUNTIF(c.event_rows <= 0.02 * c.lowest_rate * c.place_rows) OVER (PARTITION BY c.dimension, c.place) AS missing,
    COUNT(*) OVER (PARTITION BY c.dimension, c.place) AS expected_events
  FROM compared AS c
  WHERE c.others >= 2 AND c.lowest_rate * c.place_rows >= @min_expected
),

faults AS (
  SELECT
    j.*,
    ROW_NUMBER() OVER (PARTITION BY j.event_name, j.place_rows ORDER BY j.dimension, j.place) AS naming
  FROM judged AS j
  WHERE j.is_missing AND j.missing * 3 <= j.expected_events + 2
)

SELECT
  CONCAT(
    f.event_name, ' on ',
    CASE f.dimension
      WHEN 1 THEN 'platform ' WHEN 2 THEN 'stream ' WHEN 3 THEN 'host ' ELSE 'app version '
    END,
    f.place
  ) AS subject,
  CAST(NULL AS DATE) AS event_date,
  CAST(ROUND(f.lowest_rate * f.place_rows) AS INT64) AS count,
  CAST(ROUND(f.lowest_rate * f.place_rows) + f.rows_of_others AS INT64) AS total,
  f.event_name AS detail
FROM faults AS f
WHERE f.naming = 1
ORDER BY count DESC, subject
