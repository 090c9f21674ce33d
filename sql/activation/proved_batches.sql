-- How many rows of the ledger each new batch gets.
-- grain: batch_id
-- params: none
-- structure: none
SELECT r.batch_id, r.operation, COUNT(*) AS identifiers
FROM {{ relation('proved_rows') }} AS r
GROUP BY r.batch_id, r.operation
ORDER BY r.batch_id
