-- The findings of the latest audit, those accepted too.
-- grain: finding_id
-- params: none
-- structure: none
SELECT
  f.audited_at, f.finding_id, f.check_name, f.subject, f.first_date, f.last_date, f.severity, f.status, f.at_stake, f.message
FROM {{ relation('mc_audit_findings') }} AS f
WHERE
  f.audited_at = (SELECT MAX(r.audited_at) FROM {{ relation('mc_audit_runs') }} AS r)
  AND f.status != 'gone'
ORDER BY f.finding_id
