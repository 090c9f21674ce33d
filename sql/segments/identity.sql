-- The first-party identity table, when it lives in the engine: everything as text, so that an id keeps its zeros.
-- grain: none
-- params: none
SELECT
  CAST(i.user_id AS STRING) AS user_id,
  CAST(i.email AS STRING) AS email,
  CAST(i.phone AS STRING) AS phone,
  CAST(i.first_name AS STRING) AS first_name,
  CAST(i.last_name AS STRING) AS last_name,
  CAST(i.country AS STRING) AS country,
  CAST(i.postal_code AS STRING) AS postal_code
FROM {{ relation('identity') }} AS i
