-- The events just read, without those of users who were erased: what they did signed in, in the same sessions, and on clients
-- that nobody else used. What others do there later, signed in, is kept.
-- grain: property, event_date, client_key, event_order
-- params: salt STRING
-- structure: columns
WITH erased AS (
  SELECT e.user_hash
  FROM {{ relation('mc_erasures') }} AS e
),

user_ids AS (
  SELECT u.user_id
  FROM (SELECT DISTINCT c.user_id FROM {{ relation('changed_events') }} AS c WHERE c.user_id IS NOT NULL) AS u
  INNER JOIN erased AS e ON e.user_hash = TO_HEX(SHA256(CONCAT(@salt, '|', u.user_id)))
),

erased_sessions AS (
  SELECT DISTINCT c.session_key
  FROM {{ relation('changed_events') }} AS c
  INNER JOIN user_ids AS u ON u.user_id = c.user_id
  WHERE c.session_key IS NOT NULL
  UNION DISTINCT
  SELECT k.key AS session_key
  FROM {{ relation('mc_erased_keys') }} AS k
  WHERE k.kind = 'session'
),

erased_clients AS (
  SELECT DISTINCT k.key AS client_key
  FROM {{ relation('mc_erased_keys') }} AS k
  WHERE k.kind = 'client'
)

SELECT
  {% for column in columns %}
  c.{{ column | identifier }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM {{ relation('changed_events') }} AS c
LEFT JOIN user_ids AS u ON u.user_id = c.user_id
LEFT JOIN erased_sessions AS s ON s.session_key = c.session_key
LEFT JOIN erased_clients AS k ON k.client_key = c.client_key
WHERE
  u.user_id IS NULL
  AND s.session_key IS NULL
  AND (k.client_key IS NULL OR c.user_id IS NOT NULL)
