-- What was decided of experiments, the latest first.
-- grain: experiment, variant
-- params: none
-- structure: none
SELECT
  r.experiment, r.variant, r.control, r.decided_at, r.decision, r.hypothesis, r.minimal_test, r.result, r.reason, r.learning,
  r.decided_by, r.goal, r.entry_tested, r.horizon, r.actors, r.is_split_right, r.is_read_in_time,
  r.goal_ratio, r.goal_low, r.goal_high, r.goal_p, r.entry_ratio, r.entry_low, r.entry_high,
  r.goal_share, r.entry_share, r.level, r.first_date, r.last_date
FROM {{ relation('mc_experiments') }} AS r
ORDER BY r.decided_at DESC, r.experiment, r.variant
