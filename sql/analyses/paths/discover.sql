-- The milestones that actors pass before they first reach a goal, in their order: for each actor those of one window before,
-- each where it first occurs in that time. A sequence is text: a > b > c; '' is empty.
-- grain: sequence
-- params: goal STRING, milestones ARRAY<STRING>, window_us INT64
WITH conversions AS (
  SELECT m.actor_key, m.client_key, m.event_order, UNIX_MICROS(m.event_at) AS event_us
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @goal AND m.actor_key IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY m.actor_key ORDER BY m.event_order, m.client_key) = 1
),

milestones AS (
  SELECT micro_conversion, place
  FROM UNNEST(@milestones) AS micro_conversion WITH OFFSET AS place
),

passed_milestones AS (
  SELECT m.actor_key, m.client_key, m.event_order, s.place, s.micro_conversion
  FROM {{ relation('mc_micro_conversions') }} AS m
  INNER JOIN conversions AS c ON c.actor_key = m.actor_key
  INNER JOIN milestones AS s ON s.micro_conversion = m.micro_conversion
  WHERE
    (m.event_order < c.event_order OR m.event_order = c.event_order AND m.client_key < c.client_key)
    AND c.event_us - UNIX_MICROS(m.event_at) <= @window_us
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY m.actor_key, m.micro_conversion ORDER BY m.event_order, m.client_key
  ) = 1
),

sequences AS (
  SELECT
    p.actor_key,
    STRING_AGG(p.micro_conversion, ' > ' ORDER BY p.event_order, p.client_key, p.place) AS sequence
  FROM passed_milestones AS p
  GROUP BY p.actor_key
),

actor_sequences AS (
  SELECT c.actor_key, COALESCE(s.sequence, '') AS sequence
  FROM conversions AS c
  LEFT JOIN sequences AS s ON s.actor_key = c.actor_key
)

SELECT a.sequence, COUNT(*) AS actors
FROM actor_sequences AS a
GROUP BY a.sequence
ORDER BY actors DESC, a.sequence
