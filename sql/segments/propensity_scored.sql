-- By goal: which model scored the actors, as of when, and how many of them.
-- grain: goal, model_id, scored_at
-- params: none
-- structure: none
SELECT s.goal, s.model_id, s.scored_at, COUNT(*) AS actors
FROM {{ relation('mc_propensity_scores') }} AS s
GROUP BY s.goal, s.model_id, s.scored_at
ORDER BY s.goal, s.model_id, s.scored_at
