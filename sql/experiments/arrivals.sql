-- How many actors come into an experiment on each of its days for the first time; see `baseline`.
-- grain: arrived_date
-- params: exposure STRING, first_date DATE, last_date DATE, end_at TIMESTAMP
-- structure: has_exposure
WITH {% include 'experiments/_arriving.sql' %}


SELECT a.arrived_date, COUNT(*) AS actors
FROM arriving AS a
GROUP BY a.arrived_date
ORDER BY a.arrived_date
