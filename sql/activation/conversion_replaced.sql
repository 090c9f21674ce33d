-- The orders whose row in mc_conversions goes: those that are said anew, and those that are forgotten.
-- grain: conversion_key
-- params: destination STRING, conversion STRING
-- structure: none
SELECT CONCAT(@destination, '/', @conversion, '/', c.order_id) AS conversion_key
FROM {{ relation('conversion_changes') }} AS c
WHERE c.verdict IN ('send', 'forget')
