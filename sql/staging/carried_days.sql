-- How many staged days carry the same properties.
-- grain: carried_columns
-- params: none
SELECT s.carried_columns, COUNT(*) AS days
FROM {{ relation('mc_shards') }} AS s
GROUP BY s.carried_columns
