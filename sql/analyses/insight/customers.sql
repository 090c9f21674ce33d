-- Buyers that are alike: days with a purchase after the first such day (`repeats`), days from the first to the second and to the last
-- of them (0 where there is no other), days from the first to `end_date`, and what the repeats are worth in units of 1e-6. What they
-- did after `end_date`, up to `until_date`, is `later`: all their further days with a purchase. By what they did or where they came
-- from first (`context`).
-- grain: context, repeats, second_days, last_days, seen_days, repeat_value_micros
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE, end_date DATE,
--   until_date DATE, entries ARRAY<STRING>
-- structure: by
{% from 'analyses/insight/_purchases.sql' import buyers with context %}
WITH {{ buyers() }},

customers AS (
  SELECT
    b.actor_key,
    b.context,
    COUNTIF(d.event_date > b.first_date AND d.event_date <= @end_date) AS repeats,
    COALESCE(
      MIN(IF(d.event_date > b.first_date AND d.event_date <= @end_date, DATE_DIFF(d.event_date, b.first_date, DAY), NULL)), 0
    ) AS second_days,
    MAX(IF(d.event_date <= @end_date, DATE_DIFF(d.event_date, b.first_date, DAY), 0)) AS last_days,
    DATE_DIFF(@end_date, b.first_date, DAY) AS seen_days,
    SUM(IF(d.event_date > b.first_date AND d.event_date <= @end_date, d.value_micros, 0)) AS repeat_value_micros,
    COUNTIF(d.event_date > @end_date) AS later
  FROM buyers AS b
  INNER JOIN buying_days AS d ON d.actor_key = b.actor_key
  GROUP BY b.actor_key, b.context, b.first_date
)

SELECT
  c.context,
  c.repeats,
  c.second_days,
  c.last_days,
  c.seen_days,
  CAST(c.repeat_value_micros AS INT64) AS repeat_value_micros,
  COUNT(*) AS customers,
  CAST(SUM(c.later) AS INT64) AS later
FROM customers AS c
GROUP BY c.context, c.repeats, c.second_days, c.last_days, c.seen_days, c.repeat_value_micros
ORDER BY c.context, c.repeats, c.second_days, c.last_days, c.seen_days, c.repeat_value_micros
