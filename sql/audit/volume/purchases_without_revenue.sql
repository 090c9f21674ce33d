-- Days on which far more purchases than usual have no value, or the value 0.
-- severity: error
-- finding: {count} of {total} {subject} {dates} have no value, {detail}.
-- remedy: Look at the parameter value of the event: it must be a number, without currency sign or thousands separator. Revenue of these days is too low in every report.
-- threshold: min_share FLOAT64 = 0.05 share of purchases from which it is told
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, purchase_ids ARRAY<STRING>
-- structure: none
-- judge: sudden_share
SELECT
  m.property,
  m.micro_conversion AS subject,
  m.event_date,
  COUNTIF(COALESCE(m.value, 0) = 0) AS count,
  COUNT(*) AS total,
  FALSE AS is_provisional,
  (@first_date IS NULL OR m.event_date >= @first_date) AND (@last_date IS NULL OR m.event_date <= @last_date) AS is_asked
FROM {{ relation('mc_micro_conversions') }} AS m
WHERE m.micro_conversion IN UNNEST(@purchase_ids)
GROUP BY m.property, m.micro_conversion, m.event_date
ORDER BY m.property, m.micro_conversion, m.event_date
