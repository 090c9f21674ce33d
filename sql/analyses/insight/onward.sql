-- What follows once actors have done an entry for the first time: how many did (`actors`), how many of them came to each step
-- after it (`reached`), to that step or one that @steps names later (`reached_further`), and how many did the step at any time,
-- before it included (`did_ever`); and what their conversions after it are worth in units of 1e-6, where the step is the goal. Of
-- conversions of one actor with one transaction id in a property, the earliest counts. Actors lie in `actor_groups` groups by their
-- key, from which an interval is resampled.
-- grain: micro_conversion, step, actor_group
-- params: entries ARRAY<STRING>, steps ARRAY<STRING>, conversion STRING, currency STRING, assumed_currency STRING,
--   first_date DATE, last_date DATE, end_at TIMESTAMP, actor_groups INT64
-- structure: none
{% from 'analyses/_value.sql' import copy_number, value_of with context %}
WITH did AS (
  SELECT m.micro_conversion, m.actor_key, MIN(m.event_order) AS first_order, MIN(m.event_date) AS first_date
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entries) AND m.actor_key IS NOT NULL AND m.event_at <= @end_at
  GROUP BY m.micro_conversion, m.actor_key
),

doers AS (
  SELECT d.micro_conversion, d.actor_key, d.first_order, MOD(d.actor_key, @actor_groups) AS actor_group
  FROM did AS d
  WHERE
    (@first_date IS NULL OR d.first_date >= @first_date)
    AND (@last_date IS NULL OR d.first_date <= @last_date)
),

lasts AS (
  SELECT m.micro_conversion AS step, m.actor_key, MAX(m.event_order) AS last_order
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@steps) AND m.actor_key IS NOT NULL AND m.event_at <= @end_at
  GROUP BY m.micro_conversion, m.actor_key
),

occurrences AS (
  SELECT
    m.actor_key,
    m.event_order,
    COALESCE({{ value_of('m' | identifier) }}, 0) AS value,
    {{ copy_number('m' | identifier) }} AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion AND m.actor_key IS NOT NULL AND m.event_at <= @end_at
),

worth AS (
  SELECT
    d.micro_conversion,
    d.actor_group,
    CAST(SUM(CAST(ROUND(o.value * 1e6) AS INT64)) AS INT64) AS value_micros
  FROM doers AS d
  INNER JOIN occurrences AS o ON o.actor_key = d.actor_key
  WHERE o.copy_number = 1 AND o.event_order > d.first_order
  GROUP BY d.micro_conversion, d.actor_group
),

asked_steps AS (
  SELECT name, place
  FROM UNNEST(@steps) AS name WITH OFFSET AS place
),

sizes AS (
  SELECT d.micro_conversion, d.actor_group, COUNT(*) AS actors
  FROM doers AS d
  GROUP BY d.micro_conversion, d.actor_group
),

reaching AS (
  SELECT
    d.micro_conversion,
    l.step,
    d.actor_group,
    COUNTIF(l.last_order > d.first_order) AS reached,
    COUNT(*) AS did_ever
  FROM doers AS d
  INNER JOIN lasts AS l ON l.actor_key = d.actor_key
  GROUP BY d.micro_conversion, l.step, d.actor_group
),

-- The last of the steps that each actor came to.
furthest AS (
  SELECT d.micro_conversion, d.actor_group, d.actor_key, MAX(a.place) AS place
  FROM doers AS d
  INNER JOIN lasts AS l ON l.actor_key = d.actor_key
  INNER JOIN asked_steps AS a ON a.name = l.step
  WHERE l.last_order > d.first_order
  GROUP BY d.micro_conversion, d.actor_group, d.actor_key
),

ending_at AS (
  SELECT f.micro_conversion, f.actor_group, f.place, COUNT(*) AS actors
  FROM furthest AS f
  GROUP BY f.micro_conversion, f.actor_group, f.place
),

coming_as_far AS (
  SELECT a.name, f.micro_conversion, f.actor_group, SUM(f.actors) AS actors
  FROM ending_at AS f
  CROSS JOIN asked_steps AS a
  WHERE a.place <= f.place
  GROUP BY a.name, f.micro_conversion, f.actor_group
)

SELECT
  s.micro_conversion,
  a.name AS step,
  s.actor_group,
  s.actors,
  COALESCE(r.reached, 0) AS reached,
  CAST(COALESCE(f.actors, 0) AS INT64) AS reached_further,
  COALESCE(r.did_ever, 0) AS did_ever,
  IF(a.name = @conversion, COALESCE(w.value_micros, 0), 0) AS value_micros
FROM sizes AS s
CROSS JOIN asked_steps AS a
LEFT JOIN reaching AS r ON r.micro_conversion = s.micro_conversion AND r.step = a.name AND r.actor_group = s.actor_group
LEFT JOIN coming_as_far AS f
  ON f.micro_conversion = s.micro_conversion AND f.name = a.name AND f.actor_group = s.actor_group
LEFT JOIN worth AS w ON w.micro_conversion = s.micro_conversion AND w.actor_group = s.actor_group
ORDER BY s.micro_conversion, step, s.actor_group
