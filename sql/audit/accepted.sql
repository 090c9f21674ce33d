-- Findings that somebody accepted, with the reason and the last day on which that holds.
-- grain: finding_id
-- params: none
-- structure: none
SELECT a.finding_id, a.check_name, a.subject, a.first_date, a.last_date, a.reason, a.until, a.accepted_at
FROM {{ relation('mc_audit_accepted') }} AS a
WHERE a.until IS NOT NULL
ORDER BY a.accepted_at, a.finding_id
