-- Who is behind each order, and by which ad click; what was said of it before stands where that is no longer staged.
-- grain: order_id
-- params: none
-- structure: none
SELECT
  o.order_id, o.user_id, o.standing, o.gclid, o.gbraid, o.wbraid, o.fbclid,
  UNIX_MICROS(o.clicked_at) AS clicked_us,
  o.said_who
FROM {{ relation('conversion_orders') }} AS o
ORDER BY o.order_id
