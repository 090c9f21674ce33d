-- What buyers did in the weeks or months since the one of their first purchase (`cohort`, its first day; `age` counts from 0): how
-- many bought again on a later day, how many came on a later day at all, and what they bought in units of 1e-6. `buyers` are those
-- of the cohort, where `age` is 0. A week begins on a Monday.
-- grain: cohort, age
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE, end_date DATE,
--   until_date DATE
-- structure: by, grain
{% from 'analyses/insight/_purchases.sql' import buyers with context %}
{% set part %}{% if grain == 'week' %}WEEK(MONDAY){% else %}MONTH{% endif %}{% endset %}
WITH {{ buyers() }},

cohorts AS (
  SELECT b.actor_key, b.first_date, DATE_TRUNC(b.first_date, {{ part }}) AS cohort
  FROM buyers AS b
),

acts AS (
  SELECT
    c.cohort,
    c.actor_key,
    DATE_TRUNC(d.event_date, {{ part }}) AS period,
    d.event_date > c.first_date AS is_purchase,
    FALSE AS is_visit,
    d.value_micros
  FROM cohorts AS c
  INNER JOIN buying_days AS d ON d.actor_key = c.actor_key
  UNION ALL
  SELECT
    c.cohort,
    c.actor_key,
    DATE_TRUNC(s.session_date, {{ part }}) AS period,
    FALSE AS is_purchase,
    TRUE AS is_visit,
    0 AS value_micros
  FROM cohorts AS c
  INNER JOIN {{ relation('mc_sessions') }} AS s ON s.actor_key = c.actor_key
  WHERE s.session_date > c.first_date AND s.session_date <= @end_date
)

SELECT
  a.cohort,
  DATE_DIFF(a.period, a.cohort, {{ part }}) AS age,
  COUNT(DISTINCT IF(a.period = a.cohort, a.actor_key, NULL)) AS buyers,
  COUNT(DISTINCT IF(a.is_purchase, a.actor_key, NULL)) AS bought_again,
  COUNT(DISTINCT IF(a.is_visit, a.actor_key, NULL)) AS came_back,
  CAST(SUM(a.value_micros) AS INT64) AS value_micros
FROM acts AS a
GROUP BY a.cohort, a.period
ORDER BY a.cohort, age
