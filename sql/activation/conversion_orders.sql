-- What is known of each order of a conversion: of those that happened, and of those that the destination was told of.
-- An order is the first occurrence of an entry with its transaction id; without one, the occurrence is its own order.
-- `standing` says what it is: it counts ("there"), its money was given back ("refunded"; "refund_unclear" in another
-- currency), its day is not final ("not_final"), it is no longer staged though its day is ("gone"; else "unknown"). The click ids are those of the last ad
-- click of the same actor before it.
-- grain: order_id
-- params: destination STRING, conversion STRING, entry STRING, refund_entry STRING, since TIMESTAMP, until TIMESTAMP,
--   with_provisional BOOL, fixed_value FLOAT64, fixed_currency STRING, assumed_currency STRING, clicks ARRAY<STRING>,
--   first_click_date DATE, lookback_us INT64
-- structure: none
{% from '_standing.sql' import days with context %}
{# What a platform may know an order by: as it is, where it is a plain word. #}
{% macro order_of(transaction_id) -%}
IF(
      REGEXP_CONTAINS({{ transaction_id }}, r'^[A-Za-z0-9._:/#-]{1,64}$'),
      {{ transaction_id }},
      CONCAT(
        'mc-',
        SUBSTR(TO_HEX(SHA256({{ transaction_id }})), 1, 32)
      )
    )
{%- endmacro %}
WITH days AS (
{{ days() }}
),

occurrences AS (
  SELECT
    m.property, m.event_date, m.event_at, m.event_order, m.client_key, m.actor_key, m.external_source, m.transaction_id,
    COALESCE(
      {{ order_of('m.transaction_id' | identifier) }},
      CONCAT(
        'mc-',
        SUBSTR(
          TO_HEX(
            SHA256(
              CONCAT(
                m.property, '|', m.micro_conversion, '|', CAST(m.client_key AS STRING), '|',
                CAST(UNIX_MICROS(m.event_at) AS STRING)
              )
            )
          ),
          1, 32
        )
      )
    ) AS order_id,
    COALESCE(@fixed_value, m.value) AS value,
    IF(@fixed_value IS NOT NULL, @fixed_currency, COALESCE(m.currency, @assumed_currency)) AS currency
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @entry
),

numbered AS (
  SELECT
    o.*,
    ROW_NUMBER() OVER (
      PARTITION BY o.order_id ORDER BY o.event_at, o.property, o.client_key, o.event_order
    ) AS place
  FROM occurrences AS o
),

firsts AS (
  SELECT
    n.order_id, n.property, n.event_date, n.event_at, n.actor_key, n.external_source, n.transaction_id, n.currency,
    CAST(ROUND(IF(n.currency IS NULL, NULL, n.value) * 1000000) AS INT64) AS value_micros,
    n.external_source IS NULL AND COALESCE(d.is_provisional, TRUE) AND NOT @with_provisional AS is_not_final
  FROM numbered AS n
  LEFT JOIN days AS d ON d.property = n.property AND d.event_date = n.event_date
  WHERE n.place = 1 AND n.event_at BETWEEN @since AND @until
),

-- Money that was given back. Without an amount all of it was; in another currency nobody can tell how much is left.
refunds AS (
  SELECT
    m.transaction_id,
    LOGICAL_OR(m.value IS NULL) AS is_whole,
    SUM(CAST(ROUND(m.value * 1000000) AS INT64)) AS micros,
    MIN(COALESCE(m.currency, @assumed_currency)) AS currency,
    COUNT(DISTINCT COALESCE(m.currency, @assumed_currency, '')) AS currencies
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @refund_entry AND m.transaction_id IS NOT NULL
  GROUP BY m.transaction_id
),

orders AS (
  SELECT
    f.order_id, f.property, f.event_date, f.event_at, f.actor_key, f.external_source, f.currency,
    f.value_micros - IF(r.currencies = 1 AND r.currency = f.currency, COALESCE(r.micros, 0), 0) AS value_micros,
    CASE
      WHEN f.is_not_final THEN 'not_final'
      WHEN r.transaction_id IS NULL THEN 'there'
      WHEN r.is_whole OR COALESCE(f.value_micros, 0) = 0 THEN 'refunded'
      WHEN r.currencies != 1 OR r.currency IS NULL OR r.currency != f.currency THEN 'refund_unclear'
      WHEN r.micros >= f.value_micros THEN 'refunded'
      ELSE 'there'
    END AS standing
  FROM firsts AS f
  LEFT JOIN refunds AS r ON r.transaction_id = f.transaction_id
),

known_users AS (
  SELECT s.actor_key, s.user_id
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id IS NOT NULL
  UNION ALL
  SELECT e.user_key AS actor_key, e.user_id
  FROM {{ relation('mc_external_events') }} AS e
  WHERE e.user_id IS NOT NULL
),

users AS (
  SELECT k.actor_key, MIN(k.user_id) AS user_id
  FROM known_users AS k
  GROUP BY k.actor_key
),

clicked AS (
  SELECT
    s.actor_key,
    e.event_at,
    e.event_order,
    e.client_key,
    IF('gclid' IN UNNEST(@clicks), e.gclid, NULL) AS gclid,
    IF('gbraid' IN UNNEST(@clicks), e.gbraid, NULL) AS gbraid,
    IF('wbraid' IN UNNEST(@clicks), e.wbraid, NULL) AS wbraid,
    IF('fbclid' IN UNNEST(@clicks), e.fbclid, NULL) AS fbclid
  FROM {{ relation('mc_events') }} AS e
  INNER JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = e.session_key
  WHERE e.event_date >= @first_click_date AND COALESCE(e.gclid, e.gbraid, e.wbraid, e.fbclid) IS NOT NULL
),

clicks_before AS (
  SELECT
    o.order_id, c.gclid, c.gbraid, c.wbraid, c.fbclid, c.event_at AS clicked_at,
    ROW_NUMBER() OVER (PARTITION BY o.order_id ORDER BY c.event_order DESC, c.client_key) AS place
  FROM orders AS o
  INNER JOIN clicked AS c ON c.actor_key = o.actor_key
  WHERE
    COALESCE(c.gclid, c.gbraid, c.wbraid, c.fbclid) IS NOT NULL
    AND UNIX_MICROS(o.event_at) - UNIX_MICROS(c.event_at) BETWEEN 0 AND @lookback_us
),

told AS (
  SELECT t.order_id, t.property, t.event_date, t.external_source, t.occurred_at, t.actor_key, t.user_id, t.who
  FROM {{ relation('mc_conversions') }} AS t
  WHERE t.destination = @destination AND t.conversion = @conversion AND t.occurred_at BETWEEN @since AND @until
),

sources_read AS (
  SELECT DISTINCT x.source
  FROM {{ relation('mc_external_files') }} AS x
  WHERE x.kind = 'events'
)

SELECT
  o.order_id, o.property, o.event_date, o.external_source, o.event_at AS occurred_at, o.actor_key, u.user_id,
  o.value_micros, o.currency, o.standing, c.gclid, c.gbraid, c.wbraid, c.fbclid, c.clicked_at, t.who AS said_who
FROM orders AS o
LEFT JOIN users AS u ON u.actor_key = o.actor_key
LEFT JOIN clicks_before AS c ON c.order_id = o.order_id AND c.place = 1
LEFT JOIN told AS t ON t.order_id = o.order_id
UNION ALL
SELECT
  t.order_id, t.property, t.event_date, t.external_source, t.occurred_at, t.actor_key, t.user_id,
  CAST(NULL AS INT64), CAST(NULL AS STRING),
  IF(IF(t.external_source IS NULL, NOT COALESCE(d.is_provisional, TRUE), x.source IS NOT NULL), 'gone', 'unknown'),
  CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP), t.who
FROM told AS t
LEFT JOIN orders AS o ON o.order_id = t.order_id
LEFT JOIN days AS d ON d.property = t.property AND d.event_date = t.event_date
LEFT JOIN sources_read AS x ON x.source = t.external_source
WHERE o.order_id IS NULL
ORDER BY order_id
