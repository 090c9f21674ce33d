-- How long after their first purchase buyers came to each entry: how many did after so long (`reached`), and how many had not when
-- the data end, as long after it (`waiting`). Times are whole minutes within the first day, whole hours after it, in seconds.
-- grain: micro_conversion, waited_seconds
-- params: conversion STRING, entries ARRAY<STRING>, first_date DATE, last_date DATE, end_at TIMESTAMP
-- structure: none
WITH first_purchases AS (
  SELECT
    m.actor_key,
    MIN(m.event_at) AS bought_at,
    MIN(m.event_order) AS bought_order,
    MIN(m.event_date) AS first_date
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion AND m.actor_key IS NOT NULL AND m.event_at <= @end_at
  GROUP BY m.actor_key
),

buyers AS (
  SELECT f.actor_key, f.bought_at, f.bought_order
  FROM first_purchases AS f
  WHERE
    (@first_date IS NULL OR f.first_date >= @first_date)
    AND (@last_date IS NULL OR f.first_date <= @last_date)
),

firsts AS (
  SELECT m.micro_conversion, m.actor_key, MIN(m.event_at) AS reached_at
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN buyers AS b ON b.actor_key = m.actor_key
  WHERE m.micro_conversion IN UNNEST(@entries) AND m.event_at <= @end_at AND m.event_order > b.bought_order
  GROUP BY m.micro_conversion, m.actor_key
),

waits AS (
  SELECT
    entry AS micro_conversion,
    r.reached_at IS NOT NULL AS is_reached,
    UNIX_MICROS(COALESCE(r.reached_at, @end_at)) - UNIX_MICROS(b.bought_at) AS waited_us
  FROM buyers AS b
  CROSS JOIN UNNEST(@entries) AS entry
  LEFT JOIN firsts AS r ON r.actor_key = b.actor_key AND r.micro_conversion = entry
),

rounded AS (
  SELECT
    w.micro_conversion,
    w.is_reached,
    IF(w.waited_us < 86400000000, DIV(w.waited_us, 60000000) * 60, DIV(w.waited_us, 3600000000) * 3600) AS waited_seconds
  FROM waits AS w
)

SELECT
  r.micro_conversion,
  r.waited_seconds,
  COUNTIF(r.is_reached) AS reached,
  COUNTIF(NOT r.is_reached) AS waiting
FROM rounded AS r
GROUP BY r.micro_conversion, r.waited_seconds
ORDER BY r.micro_conversion, r.waited_seconds
