-- What would be said of orders: how many by verdict, operation and reason, and what they come to by currency.
-- grain: verdict, operation, why, currency
-- params: none
-- structure: none
SELECT c.verdict, c.operation, c.why, c.currency, COUNT(*) AS orders, SUM(c.value_micros) AS value_micros
FROM {{ relation('conversion_changes') }} AS c
GROUP BY c.verdict, c.operation, c.why, c.currency
ORDER BY c.verdict, c.operation, c.why, c.currency
