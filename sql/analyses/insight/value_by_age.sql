-- What buyers bring by the days since their first purchase (`age_days`): days with a purchase, and what these are worth in units
-- of 1e-6; `last_seen` are the buyers who are known for exactly so many days. Buyers lie in `actor_groups` groups by their key, from
-- which an interval is resampled, and are split by what they did or where they came from first (`context`).
-- grain: context, actor_group, age_days
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE, end_date DATE, until_date DATE,
--   actor_groups INT64, entries ARRAY<STRING>
-- structure: by
{% from 'analyses/insight/_purchases.sql' import buyers with context %}
WITH {{ buyers() }},

facts AS (
  SELECT
    b.context,
    MOD(b.actor_key, @actor_groups) AS actor_group,
    DATE_DIFF(d.event_date, b.first_date, DAY) AS age_days,
    1 AS purchase_days,
    d.value_micros,
    0 AS last_seen
  FROM buyers AS b
  INNER JOIN buying_days AS d ON d.actor_key = b.actor_key
  UNION ALL
  SELECT
    b.context,
    MOD(b.actor_key, @actor_groups) AS actor_group,
    DATE_DIFF(@end_date, b.first_date, DAY) AS age_days,
    0 AS purchase_days,
    0 AS value_micros,
    1 AS last_seen
  FROM buyers AS b
)

SELECT
  f.context,
  f.actor_group,
  f.age_days,
  CAST(SUM(f.purchase_days) AS INT64) AS purchase_days,
  CAST(SUM(f.value_micros) AS INT64) AS value_micros,
  CAST(SUM(f.last_seen) AS INT64) AS last_seen
FROM facts AS f
GROUP BY f.context, f.actor_group, f.age_days
ORDER BY f.context, f.actor_group, f.age_days
