-- The last build of each segment.
-- grain: segment
-- params: none
-- structure: none
SELECT
  b.segment, b.run_id, b.as_of, b.built_at, b.rule_version, b.matching, b.members, b.with_user_id, b.entered_members,
  b.left_members
FROM {{ relation('mc_segment_builds') }} AS b
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY b.segment ORDER BY b.as_of DESC, b.built_at DESC, b.run_id DESC) = 1
ORDER BY b.segment
