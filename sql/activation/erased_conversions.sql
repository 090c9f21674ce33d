-- The orders of a user that destinations were told of; `is_settled` says that nothing more can be told of one.
-- grain: conversion_key
-- params: user_id STRING
-- structure: none
SELECT
  c.conversion_key, c.destination, c.conversion,
  c.operation = 'retract' AND COALESCE(b.state, 'unknown') = 'success'
    OR COALESCE(b.state, 'unknown') IN ('planned', 'failed') AND NOT COALESCE(c.was_sent, FALSE) AS is_settled
FROM {{ relation('mc_conversions') }} AS c
LEFT JOIN {{ relation('mc_conversion_batches') }} AS b ON b.batch_id = c.batch_id
WHERE c.user_id = @user_id
ORDER BY c.conversion_key
