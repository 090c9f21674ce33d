-- Occurrences that follow one of the same micro-conversion, by the same client on the same page, within a second.
-- grain: micro_conversion
-- params: none
-- structure: none
WITH gaps AS (
  SELECT
    o.micro_conversion,
    UNIX_MICROS(o.event_at) - LAG(UNIX_MICROS(o.event_at)) OVER (
      PARTITION BY o.client_key, o.micro_conversion, o.page ORDER BY o.event_at, o.event_order
    ) AS gap_us
  FROM {{ relation('mc_micro_conversions') }} AS o
)

SELECT g.micro_conversion, COUNT(*) AS occurrences, COUNTIF(g.gap_us <= 1000000) AS repeats
FROM gaps AS g
GROUP BY g.micro_conversion
ORDER BY g.micro_conversion
