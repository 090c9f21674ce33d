-- Sessions by what attribution calls them as touchpoints, most first, at most so many.
-- grain: touchpoint
-- params: most INT64
-- structure: touchpoint
{% from 'analyses/attribution/_touches.sql' import name_of with context %}
WITH named AS (
  SELECT {{ name_of('s' | identifier) }} AS touchpoint, COUNT(*) AS sessions
  FROM {{ relation('mc_sessions') }} AS s
  GROUP BY touchpoint
),

ranked AS (
  SELECT n.touchpoint, n.sessions, ROW_NUMBER() OVER (ORDER BY n.sessions DESC, n.touchpoint) AS place
  FROM named AS n
)

SELECT r.touchpoint, r.sessions
FROM ranked AS r
WHERE r.place <= @most
ORDER BY r.place
