-- The days between which chosen sessions lie, as staged: only these days are read for them. NULL where none is staged yet.
-- grain: none
-- params: property STRING
-- structure: chosen
SELECT MIN(s.session_date) AS first_date, MAX(s.last_event_date) AS last_date
FROM {{ relation('mc_sessions') }} AS s
INNER JOIN {{ relation(chosen) }} AS c ON c.session_key = s.session_key
WHERE s.property = @property
