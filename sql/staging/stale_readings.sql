-- Readings of events or metrics of other systems that no file or table stands for any more: they were replaced, or a run
-- died before it had read the whole.
-- grain: reading
-- params: readings ARRAY<STRING>
-- structure: staged
SELECT DISTINCT e.reading
FROM {{ relation(staged) }} AS e
WHERE NOT (e.reading IN UNNEST(@readings))
