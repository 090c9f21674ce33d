-- The chance of each actor to reach the goal, by the logistic form: the weights are of LN(1 + feature), in the order of the
-- features. Deciles count from 1, the tenth with the smallest chances, to 10; actors of equal chances (to seven digits) are in one.
-- grain: goal, actor_key
-- params: goal STRING, model_id STRING, scored_at TIMESTAMP, intercept FLOAT64, weights ARRAY<FLOAT64>
-- structure: features
WITH odds AS (
  SELECT
    f.actor_key,
    @intercept
    {% for place in range(features) %}
    + @weights[OFFSET({{ place }})] * LN(1 + f.feature_{{ place }})
    {% endfor %}
    AS log_odds
  FROM {{ relation('propensity_features') }} AS f
),

chances AS (
  SELECT o.actor_key, 1 / (1 + EXP(-(LEAST(GREATEST(o.log_odds, -30.0), 30.0)))) AS probability
  FROM odds AS o
),

levels AS (
  SELECT c.actor_key, c.probability, CAST(ROUND(c.probability * 10000000) AS INT64) AS level
  FROM chances AS c
),

level_counts AS (
  SELECT l.level, COUNT(*) AS actors, SUM(COUNT(*)) OVER (ORDER BY l.level) AS up_to
  FROM levels AS l
  GROUP BY l.level
),

everybody AS (
  SELECT COUNT(*) AS actors
  FROM levels AS l
)

SELECT
  @goal AS goal,
  l.actor_key,
  @model_id AS model_id,
  @scored_at AS scored_at,
  l.probability,
  1 + DIV(10 * (n.up_to - n.actors), e.actors) AS decile
FROM levels AS l
INNER JOIN level_counts AS n ON n.level = l.level
CROSS JOIN everybody AS e
