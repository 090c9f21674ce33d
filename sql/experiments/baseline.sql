-- How many actors would be in an experiment of those days, and how many of them do each entry from then on: each actor is in it
-- from the first session, or with `has_exposure` from the first occurrence of an entry.
-- grain: micro_conversion
-- params: entries ARRAY<STRING>, exposure STRING, first_date DATE, last_date DATE, end_at TIMESTAMP
-- structure: has_exposure
WITH {% include 'experiments/_arriving.sql' %},

doers AS (
  SELECT m.micro_conversion, COUNT(DISTINCT a.actor_key) AS doers
  FROM arriving AS a
  INNER JOIN {{ relation('mc_micro_conversions') }} AS m ON m.actor_key = a.actor_key
  WHERE
    m.micro_conversion IN UNNEST(@entries)
    AND m.event_at >= a.arrived_at
    AND m.event_at <= @end_at
    AND m.event_date <= @last_date
  GROUP BY m.micro_conversion
),

sizes AS (
  SELECT COUNT(*) AS actors
  FROM arriving AS a
)

SELECT entry AS micro_conversion, z.actors, COALESCE(d.doers, 0) AS doers
FROM UNNEST(@entries) AS entry
CROSS JOIN sizes AS z
LEFT JOIN doers AS d ON d.micro_conversion = entry
ORDER BY micro_conversion
