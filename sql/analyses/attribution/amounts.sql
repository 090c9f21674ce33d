-- What the conversions of attribution are worth by the currency that their events name, '' where they name none, and
-- whether that counts as value: `amount_micros` in that currency, `value_micros` in the project's. Both in units of 1e-6.
-- `without_value` are conversions that say no value, or 0.
-- grain: currency, is_counted
-- params: conversion STRING, currency STRING, assumed_currency STRING, first_date DATE, last_date DATE
-- structure: touchpoint, count, resets, grouped
{% from 'analyses/attribution/_conversions.sql' import conversions with context %}
WITH {{ conversions(by_currency=true) }}

SELECT
  COALESCE(c.currency, '') AS currency,
  c.is_counted,
  COUNTIF(COALESCE(c.amount, 0) <> 0 OR c.value <> 0) AS conversions,
  COUNTIF(COALESCE(c.amount, 0) = 0 AND c.value = 0) AS without_value,
  CAST(SUM(CAST(ROUND(COALESCE(c.amount, 0) * 1e6) AS INT64)) AS INT64) AS amount_micros,
  CAST(SUM(CAST(ROUND(c.value * 1e6) AS INT64)) AS INT64) AS value_micros
FROM conversions AS c
GROUP BY COALESCE(c.currency, ''), c.is_counted
ORDER BY currency, is_counted
