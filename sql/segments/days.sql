-- A segment by day of the property: as the day's last build left it, and who entered and left on the day.
-- grain: day
-- params: segment STRING, zone STRING
-- structure: none
WITH builds AS (
  SELECT
    b.*,
    DATE(b.as_of, @zone) AS day,
    ROW_NUMBER() OVER (
      PARTITION BY DATE(b.as_of, @zone) ORDER BY b.as_of DESC, b.built_at DESC, b.run_id DESC
    ) AS age
  FROM {{ relation('mc_segment_builds') }} AS b
  WHERE b.segment = @segment
)

SELECT
  b.day,
  MAX(b.as_of) AS as_of,
  SUM(IF(b.age = 1, b.matching, 0)) AS matching,
  SUM(IF(b.age = 1, b.members, 0)) AS members,
  SUM(IF(b.age = 1, b.with_user_id, 0)) AS with_user_id,
  SUM(b.entered_members) AS entrants,
  SUM(b.left_members) AS leavers,
  COUNT(*) AS builds
FROM builds AS b
GROUP BY b.day
ORDER BY b.day
