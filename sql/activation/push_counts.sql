-- What a push would do: identifiers by verdict, operation and reason.
-- grain: verdict, operation, reason
-- params: none
-- structure: none
SELECT c.verdict, c.operation, c.reason, COUNT(*) AS identifiers
FROM {{ relation('push_changes') }} AS c
GROUP BY c.verdict, c.operation, c.reason
ORDER BY c.verdict, c.operation, c.reason
