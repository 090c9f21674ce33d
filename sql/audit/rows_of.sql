-- How many rows a table has: where it has none, a check that reads it says nothing.
-- grain: none
-- params: none
-- structure: table
SELECT COUNT(*) AS rows_there
FROM {{ relation(table) }} AS t
