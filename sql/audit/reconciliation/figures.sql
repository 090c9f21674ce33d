-- What GA4's reports show, counted exactly: events with or without consent, and sessions and users that had any of them.
-- A session past midnight is one on both of its days, as in GA4; a purchase sent again with its transaction id counts once.
-- Internal events are marked as a data filter of GA4 takes them: with a kind of traffic, or as of debug mode.
-- `users_by_id` takes all clients of a user id for one user, as GA4 does where it is set so; `users` does not.
-- grain: event_date, part
-- params: property STRING, first_date DATE, last_date DATE, currency STRING, assume_currency BOOL
-- structure: by_day, part
{% from 'analyses/_sessions.sql' import actor_of, channel with context %}
-- Few rows: the places of the repeats are found apart from all other events.
WITH repeats AS (
  SELECT r.event_date, r.event_name, COALESCE(r.client_key, -1) AS client_key, r.event_order
  FROM {{ relation('mc_events') }} AS r
  WHERE
    r.property = @property AND r.event_date BETWEEN @first_date AND @last_date
    AND r.transaction_id IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY r.event_date, r.event_name, r.client_key, r.transaction_id ORDER BY r.event_at, r.event_order
  ) > 1
),

marked AS (
  SELECT
    {% if by_day %}e.event_date{% else %}CAST(NULL AS DATE){% endif %} AS event_date,
    {% if part == 'country' %}COALESCE(NULLIF(e.country, ''), '(not set)')
    {%- elif part == 'channel' %}{{ channel('s' | identifier) }}
    {%- else %}''{% endif %} AS part,
    e.event_name,
    e.client_key,
    e.session_key,
    COALESCE(e.is_debug, FALSE) OR e.traffic_type IS NOT NULL AS is_internal,
    {{ actor_of('e', 's') }} AS actor_key,
    COALESCE(e.session_engaged, FALSE) OR e.engagement_msec > 0
      OR e.event_name IN ('first_visit', 'first_open') AS is_active,
    CASE
      WHEN e.event_name IN (
        'purchase', 'ecommerce_purchase', 'in_app_purchase', 'app_store_subscription_convert',
        'app_store_subscription_renew'
      ) THEN 1
      WHEN e.event_name IN ('refund', 'app_store_refund') THEN -1
      WHEN e.event_name = 'ad_impression' THEN 0
    END AS money_sign,
    e.value,
    e.value_in_usd,
    e.currency,
    COALESCE(e.currency = @currency, @assume_currency) AS is_in_currency,
    r.event_order IS NOT NULL AS is_repeat
  FROM {{ relation('mc_events') }} AS e
  LEFT JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = e.session_key
  LEFT JOIN repeats AS r
    ON r.event_date = e.event_date AND r.event_order = e.event_order
    AND r.event_name = e.event_name AND r.client_key = COALESCE(e.client_key, -1)
  WHERE e.property = @property AND e.event_date BETWEEN @first_date AND @last_date
),

signed AS (
  SELECT
    m.*,
    m.money_sign IS NOT NULL AND m.value IS NOT NULL AS has_money,
    IF(m.money_sign = -1, -ABS(m.value), m.value) AS amount,
    IF(m.money_sign = -1, -ABS(m.value_in_usd), m.value_in_usd) AS amount_in_usd
  FROM marked AS m
)

SELECT
  s.event_date,
  s.part,
  COUNT(*) AS events,
  COUNTIF(s.client_key IS NULL) AS consentless_events,
  COUNTIF(s.is_internal) AS internal_events,
  COUNT(DISTINCT s.session_key) AS sessions,
  COUNT(DISTINCT s.client_key) AS users,
  COUNT(DISTINCT s.actor_key) AS users_by_id,
  COUNT(DISTINCT IF(s.is_active, s.client_key, NULL)) AS active_users,
  COUNTIF(s.event_name IN ('page_view', 'screen_view')) AS page_views,
  COUNTIF(s.money_sign != 0 AND s.has_money AND NOT s.is_repeat) AS transactions,
  COUNTIF(s.money_sign != 0 AND s.has_money) AS transaction_rows,
  COUNTIF(s.money_sign != 0 AND NOT s.has_money AND NOT s.is_repeat) AS valueless_transactions,
  COALESCE(SUM(IF(s.has_money AND s.is_in_currency AND NOT s.is_repeat, s.amount, NULL)), 0) AS revenue,
  COALESCE(SUM(IF(s.has_money AND s.is_in_currency, s.amount, NULL)), 0) AS revenue_of_rows,
  COALESCE(SUM(IF(s.has_money AND NOT s.is_repeat, s.amount_in_usd, NULL)), 0) AS revenue_in_usd,
  COUNTIF(s.has_money AND NOT s.is_in_currency) AS other_currency_rows
FROM signed AS s
GROUP BY s.event_date, s.part
ORDER BY s.event_date, s.part
