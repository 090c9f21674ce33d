-- What the staged export shows that its reader should know, counted: `occurrences` of `of_all`, and an `amount` where
-- there is one. Each fact is one SELECT of the last UNION; `staging/export_findings.py` says what it means.
-- It reads no events: sync asks it each time it staged something. What only events tell is counted by day in mc_shards.
-- grain: fact, subject
-- params: valued ARRAY<STRING>
-- structure: none
WITH amounts AS (
  SELECT COALESCE(m.currency, '') AS currency, CAST(ROUND(m.value * 1e6) AS INT64) AS micros
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@valued) AND m.value <> 0
)

-- The currency of each value that an event names itself; '' where it names none.
SELECT
  'currency' AS fact,
  a.currency AS subject,
  COUNT(*) AS occurrences,
  CAST(SUM(COUNT(*)) OVER () AS INT64) AS of_all,
  SUM(a.micros) / 1e6 AS amount
FROM amounts AS a
GROUP BY a.currency
ORDER BY fact, subject
