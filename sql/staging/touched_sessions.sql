-- Sessions with an event on a changed day, as staged before or as read now, and those whose referrer has become an own host
-- or is one no longer: they are rebuilt whole.
-- grain: session_key
-- params: property STRING, changed_dates ARRAY<DATE>, changed_hosts STRING
-- structure: hosts_changed
SELECT c.session_key, ANY_VALUE(c.client_key HAVING MIN c.event_order) AS client_key
FROM {{ relation('changed_events') }} AS c
WHERE c.session_key IS NOT NULL
GROUP BY c.session_key
UNION DISTINCT
SELECT m.session_key, ANY_VALUE(m.client_key HAVING MIN m.event_order) AS client_key
FROM {{ relation('mc_events') }} AS m
WHERE m.property = @property AND m.event_date IN UNNEST(@changed_dates) AND m.session_key IS NOT NULL
GROUP BY m.session_key
{% if hosts_changed %}
UNION DISTINCT
SELECT s.session_key, s.client_key
FROM {{ relation('mc_sessions') }} AS s
WHERE
  s.property = @property
  AND (
    REGEXP_CONTAINS(s.self_referrer, @changed_hosts)
    OR (LOWER(s.medium) = 'referral' AND REGEXP_CONTAINS(LOWER(s.source), @changed_hosts))
  )
{% endif %}
