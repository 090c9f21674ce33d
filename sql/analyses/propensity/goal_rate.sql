-- How many actors there were at each cut-off who had not reached the goal by then, and how many reached it in the window after it.
-- grain: cut_off_us
-- params: cut_offs_us ARRAY<INT64>, lookback_us INT64, window_us INT64, goals ARRAY<STRING>, last_hash STRING
-- structure: none
{% from 'analyses/propensity/_actors.sql' import actors_at_cut_offs with context %}
WITH {{ actors_at_cut_offs() }}

SELECT a.cut_off_us, COUNT(*) AS actors, COUNTIF(a.is_reached) AS reached
FROM actors AS a
GROUP BY a.cut_off_us
ORDER BY a.cut_off_us
