{# The state of each actor at the end of each of some weeks, from `standings`, as common table expressions up to `states`. #}
{# Nine in ten of those who come back have come back after so many days. #}
pauses AS (
  SELECT p.pause_days, COUNT(*) AS times, SUM(COUNT(*)) OVER (ORDER BY p.pause_days) AS up_to
  FROM presences AS p
  WHERE p.pause_days IS NOT NULL
  GROUP BY p.pause_days
),

usual_pause AS (
  SELECT
    COALESCE(MIN(IF(10 * p.up_to >= 9 * (SELECT SUM(q.times) FROM pauses AS q), p.pause_days, NULL)), @window_days) AS pause_days
  FROM pauses AS p
),

paces AS (
  SELECT s.points_now, COUNT(*) AS times, SUM(COUNT(*)) OVER (ORDER BY s.points_now) AS up_to
  FROM standings AS s
  WHERE s.points_now > 0
  GROUP BY s.points_now
),

usual_pace AS (
  SELECT
    MIN(IF(2 * p.up_to >= (SELECT SUM(q.times) FROM paces AS q), p.points_now, NULL)) AS half,
    MIN(IF(4 * p.up_to >= 3 * (SELECT SUM(q.times) FROM paces AS q), p.points_now, NULL)) AS three_quarters
  FROM paces AS p
),

held AS (
  SELECT
    s.*,
    u.pause_days AS usual_pause_days,
    w.half,
    w.three_quarters,
    DATE_DIFF(
      DATE_SUB(@end_date, INTERVAL 7 * s.weeks_ago DAY), COALESCE(s.last_date, s.first_date), DAY
    ) AS silent_days,
    DATE_DIFF(DATE_SUB(@end_date, INTERVAL 7 * s.weeks_ago + @window_days - 1 DAY), s.first_date, DAY) AS days_before
  FROM standings AS s
  CROSS JOIN usual_pause AS u
  CROSS JOIN usual_pace AS w
),

states AS (
  SELECT
    h.*,
    CASE
      WHEN h.is_converted THEN 'converted'
      WHEN h.silent_days > GREATEST(h.usual_pause_days, COALESCE(h.longest_pause_days, 0)) THEN 'stalled'
      WHEN h.hesitation_order >= COALESCE(h.step_order, 0) THEN 'hesitating'
      WHEN h.days_before <= 0 AND h.points_now > h.three_quarters THEN 'accelerating'
      WHEN
        h.days_before > 0
        AND h.points_now > h.half
        AND 2 * h.points_now * GREATEST(h.days_before, @window_days) >= 3 * h.points_before * @window_days
        THEN 'accelerating'
      ELSE 'steady'
    END AS state
  FROM held AS h
)
