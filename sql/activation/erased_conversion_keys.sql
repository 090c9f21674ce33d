-- The orders of a user whose rows go, of one conversion: all, or those of which nothing more can be told.
-- grain: conversion_key
-- params: destination STRING, conversion STRING, settled_only BOOL
-- structure: none
SELECT e.conversion_key
FROM {{ relation('erased_conversions') }} AS e
WHERE e.destination = @destination AND e.conversion = @conversion AND (e.is_settled OR NOT @settled_only)
