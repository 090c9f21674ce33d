-- A batch of identifiers as rows of a table of audiences: what was said of each, and when.
-- grain: change_key
-- params: segment STRING, push_id STRING, operation STRING, now TIMESTAMP
-- structure: none
SELECT
  CONCAT(@segment, '/', b.kind, '/', b.identifier) AS audience_key,
  CONCAT(@push_id, '/', @operation, '/', @segment, '/', b.kind, '/', b.identifier) AS change_key,
  @segment AS segment,
  b.kind,
  b.identifier,
  @operation AS operation,
  @now AS added_at,
  @now AS changed_at,
  @push_id AS push_id
FROM {{ relation('audience_batch') }} AS b
