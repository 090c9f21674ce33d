-- The devices that GA4 was told of for a list, and whether its audience has them: by client id, or by the user alone where
-- the audience names no device. What was never sent, or refused whole, is not there.
-- grain: kind, identifier
-- params: destination STRING, segment STRING
-- structure: none
WITH told AS (
  SELECT
    s.kind,
    s.identifier,
    REGEXP_EXTRACT(s.identifier, r'^([^\t]*)\t') AS client_id,
    REGEXP_EXTRACT(s.identifier, r'\t(.*)$') AS user_id,
    s.operation,
    b.state,
    b.sent_at
  FROM {{ relation('mc_sent') }} AS s
  INNER JOIN {{ relation('mc_ledger') }} AS b ON b.batch_id = s.batch_id
  WHERE s.destination = @destination AND s.segment = @segment AND s.kind = 'device' AND b.state NOT IN ('planned', 'failed')
),

devices AS (
  SELECT m.device_id
  FROM {{ relation('ga4_members') }} AS m
  WHERE m.device_id != ''
  GROUP BY m.device_id
),

users AS (
  SELECT m.user_id
  FROM {{ relation('ga4_members') }} AS m
  WHERE m.device_id = '' AND m.user_id != ''
  GROUP BY m.user_id
)

SELECT
  t.kind,
  t.identifier,
  t.client_id,
  t.user_id,
  t.operation,
  t.state,
  t.sent_at,
  d.device_id IS NOT NULL OR u.user_id IS NOT NULL AS is_in
FROM told AS t
LEFT JOIN devices AS d ON d.device_id = t.client_id
LEFT JOIN users AS u ON u.user_id = t.user_id
