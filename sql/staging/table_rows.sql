-- How many rows the staged tables hold.
-- grain: table_name
-- params: none
SELECT 'mc_events' AS table_name, COUNT(*) AS table_rows FROM {{ relation('mc_events') }} AS e
UNION ALL
SELECT 'mc_sessions' AS table_name, COUNT(*) AS table_rows FROM {{ relation('mc_sessions') }} AS s
UNION ALL
SELECT 'mc_micro_conversions' AS table_name, COUNT(*) AS table_rows FROM {{ relation('mc_micro_conversions') }} AS m
