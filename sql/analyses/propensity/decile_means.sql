-- The actors of each decile, their mean chance, and the mean of each feature among them: as it is, and of LN(1 + feature).
-- grain: decile
-- params: none
-- structure: features
SELECT
  s.decile,
  COUNT(*) AS actors,
  {% for place in range(features) %}
  AVG(f.feature_{{ place }}) AS mean_{{ place }},
  AVG(LN(1 + f.feature_{{ place }})) AS log_mean_{{ place }},
  {% endfor %}
  AVG(s.probability) AS probability
FROM {{ relation('propensity_scored') }} AS s
INNER JOIN {{ relation('propensity_features') }} AS f ON f.actor_key = s.actor_key
GROUP BY s.decile
ORDER BY s.decile
