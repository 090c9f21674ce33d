-- The model of each goal that was trained last, accepted or refused.
-- grain: goal
-- params: none
-- structure: none
SELECT
  m.goal,
  m.model_id,
  m.trained_at,
  m.as_of,
  m.status,
  m.reason,
  m.window_seconds,
  m.lookback_seconds,
  m.taxonomy,
  m.taxonomy_fingerprint,
  m.model
FROM {{ relation('mc_propensity_models') }} AS m
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY m.goal ORDER BY m.trained_at DESC, m.model_id DESC) = 1
ORDER BY m.goal
