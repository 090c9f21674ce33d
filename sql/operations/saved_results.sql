-- The results that are kept in a table, each with what was asked.
-- grain: result_id
-- params: none
-- structure: results
SELECT s.result_id, MIN(s.saved_at) AS saved_at, MIN(s.question) AS question
FROM {{ relation(results) }} AS s
GROUP BY s.result_id
ORDER BY saved_at, s.result_id
