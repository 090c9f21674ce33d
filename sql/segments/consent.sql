-- The first-party consent table, when it lives in the engine; the latest row of a user decides, in the consent gate.
-- grain: none
-- params: none
SELECT
  CAST(c.user_id AS STRING) AS user_id,
  CAST(c.ad_user_data AS STRING) AS ad_user_data,
  CAST(c.ad_personalization AS STRING) AS ad_personalization,
  CAST(c.changed_at AS STRING) AS changed_at
FROM {{ relation('consent') }} AS c
