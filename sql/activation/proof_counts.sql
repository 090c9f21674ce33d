-- What an audience of GA4 proves of a list: devices by the operation that GA4 was told, and whether they are in; and how many
-- members the audience has that no device of the list stands for.
-- grain: operation, is_in
-- params: none
-- structure: none
SELECT p.operation, p.is_in, COUNT(*) AS devices
FROM {{ relation('proved_devices') }} AS p
GROUP BY p.operation, p.is_in
UNION ALL
SELECT 'none' AS operation, TRUE AS is_in, COUNT(*) AS devices
FROM {{ relation('ga4_members') }} AS m
LEFT JOIN {{ relation('proved_devices') }} AS d ON d.client_id = m.device_id
LEFT JOIN (SELECT DISTINCT p.user_id FROM {{ relation('proved_devices') }} AS p) AS u ON m.device_id = '' AND u.user_id = m.user_id
WHERE d.client_id IS NULL AND u.user_id IS NULL
