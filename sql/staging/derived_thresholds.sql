-- Derived occurrences of one level that are born when a running figure reaches its threshold: so many times, sessions,
-- days, different values, switches from side to side, or so large a total, within the time that ends now.
-- Each row of an entry adds its amount to the figure of its actor, and takes it back when it is older than the time; what
-- counts once (a session, a day, a value, a transaction) stays as long as its latest row does. An occurrence is born where
-- a row lifts the figure from below the threshold.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: rule_ids ARRAY<STRING>, rule_kinds ARRAY<STRING>, rule_stages ARRAY<STRING>, rule_value_rules ARRAY<STRING>,
--   rule_fixed_values ARRAY<FLOAT64>, rule_measures ARRAY<STRING>, rule_needs ARRAY<INT64>, rule_within_us ARRAY<INT64>,
--   rule_same ARRAY<INT64>, rule_counted ARRAY<INT64>, rule_least_rows ARRAY<INT64>, pair_entries ARRAY<STRING>,
--   pair_rules ARRAY<INT64>, pair_sides ARRAY<INT64>, first_day DATE
-- structure: earlier, properties, looked_at, holds, merges, gathers
{% import 'staging/_derived.sql' as derived with context %}
{% set read = [
  'actor_key', 'client_key', 'event_order', 'event_at', 'event_date', 'micro_conversion', 'session_key', 'transaction_id',
  'value', 'engagement_msec'
] %}
{% for each in looked_at if each.column not in read %}{% set _ = read.append(each.column) %}{% endfor %}
{% set total %}{{ derived.number_of('m' | identifier, 'm.counted' | identifier) }}{% endset %}
{% set counted %}IF(w.measure = 'distinct', w.counted, -1){% endset %}
{% set of_stream %}PARTITION BY k.rule, k.actor_key, k.held{% endset %}
WITH {{ derived.rules() }},

pairs AS (
  SELECT
    entry,
    @pair_rules[OFFSET(place)] AS rule,
    @pair_sides[OFFSET(place)] AS side,
    @rule_measures[OFFSET(@pair_rules[OFFSET(place)])] AS measure,
    @rule_needs[OFFSET(@pair_rules[OFFSET(place)])] AS need,
    @rule_within_us[OFFSET(@pair_rules[OFFSET(place)])] AS within_us,
    @rule_same[OFFSET(@pair_rules[OFFSET(place)])] AS same,
    @rule_counted[OFFSET(@pair_rules[OFFSET(place)])] AS counted,
    @rule_least_rows[OFFSET(@pair_rules[OFFSET(place)])] AS least_rows
  FROM UNNEST(@pair_entries) AS entry WITH OFFSET AS place
),

-- Most actors have too few rows for most rules, whatever these hold.
busy AS (
  SELECT
    o.actor_key,
    o.micro_conversion,
    COUNT(*) AS occurrences,
    COUNT(DISTINCT o.session_key) AS sessions,
    COUNT(DISTINCT o.event_date) AS days,
    CAST(SUM(COALESCE(o.engagement_msec, 0)) AS INT64) AS engagement
  FROM {{ derived.occurrences(['actor_key', 'micro_conversion', 'session_key', 'event_date', 'engagement_msec']) }} AS o
  GROUP BY o.actor_key, o.micro_conversion
),

candidates AS (
  SELECT p.rule, b.actor_key
  FROM busy AS b
  INNER JOIN pairs AS p ON p.entry = b.micro_conversion
  GROUP BY p.rule, b.actor_key
  HAVING
    SUM(b.occurrences) >= MIN(p.least_rows)
    AND SUM(
      CASE p.measure WHEN 'sessions' THEN b.sessions WHEN 'days' THEN b.days WHEN 'engagement' THEN b.engagement ELSE p.need END
    ) >= MIN(p.need)
),

wanted AS (
  SELECT c.actor_key, p.*
  FROM candidates AS c
  INNER JOIN pairs AS p ON p.rule = c.rule
),

-- A row for each value that is held; without one there is none.
matched AS (
  SELECT
    w.rule,
    w.measure,
    w.need,
    w.within_us,
    w.side,
    w.counted,
    {% if holds %}
    held,
    {% else %}
    '' AS held,
    {% endif %}
    {% if gathers %}
    {{ derived.values_of('o' | identifier, counted) }} AS counted_values,
    {% endif %}
    {% for column in read %}
    o.{{ column | identifier }}{% if not loop.last %},{% endif %}

    {% endfor %}
  FROM {{ derived.occurrences(read) }} AS o
  INNER JOIN wanted AS w ON w.actor_key = o.actor_key AND w.entry = o.micro_conversion
  {% if holds %}
  CROSS JOIN UNNEST({{ derived.values_of('o' | identifier, 'w.same' | identifier) }}) AS held
  {% endif %}
),

chosen AS (
  SELECT
    m.rule,
    m.measure,
    m.need,
    m.within_us,
    m.side,
    m.actor_key,
    {{ derived.client('m' | identifier) }} AS client,
    m.event_order,
    {{ derived.moment('m' | identifier) }} AS event_us,
    m.micro_conversion,
    m.held,
    CASE m.measure
      WHEN 'sessions' THEN CAST(m.session_key AS STRING)
      WHEN 'days' THEN CAST(m.event_date AS STRING)
      {% if gathers %}
      WHEN 'distinct' THEN counted_value
      {% endif %}
      ELSE CONCAT(m.micro_conversion, '|', m.transaction_id)
    END AS once,
    CASE m.measure
      -- Whole thousandths: sums do not depend on their order. What is enough alone counts as no more than that.
      WHEN 'total' THEN IF({{ total }} > 0 AND {{ total }} <= 1e10, LEAST(CAST(ROUND({{ total }} * 1000) AS INT64), m.need), 0)
      WHEN 'engagement' THEN LEAST(COALESCE(m.engagement_msec, 0), m.need)
      WHEN 'sessions' THEN IF(m.session_key IS NULL, 0, 1)
      ELSE 1
    END AS amount
  FROM matched AS m
  {% if gathers %}
  CROSS JOIN UNNEST(m.counted_values) AS counted_value
  {% endif %}
),

-- An event that is several of a rule's entries counts once, with the largest amount.
rows_of_rules AS (
  SELECT c.*
  FROM chosen AS c
  WHERE c.amount > 0
  {% if merges %}
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY c.rule, c.actor_key, c.held, c.client, c.event_order, IF(c.measure = 'distinct', c.once, NULL)
    ORDER BY c.amount DESC, c.side, c.micro_conversion, c.once
  ) = 1
  {% endif %}
),

-- What counts once replaces its former self, as long as that is not too old.
counted_once AS (
  SELECT
    k.*,
    LAG(k.event_us) OVER ({{ of_stream }}, k.once ORDER BY k.event_us, k.event_order, k.client) AS former_us,
    LAG(k.amount) OVER ({{ of_stream }}, k.once ORDER BY k.event_us, k.event_order, k.client) AS former_amount,
    LEAD(k.event_us) OVER ({{ of_stream }}, k.once ORDER BY k.event_us, k.event_order, k.client) AS next_us
  FROM rows_of_rules AS k
  WHERE k.once IS NOT NULL AND k.measure != 'switches'
),

sides AS (
  SELECT
    k.*,
    LAG(k.side) OVER ({{ of_stream }} ORDER BY k.event_us, k.event_order, k.client) AS former_side,
    LAG(k.event_us) OVER ({{ of_stream }} ORDER BY k.event_us, k.event_order, k.client) AS former_us
  FROM rows_of_rules AS k
  WHERE k.measure = 'switches'
),

-- What each row adds to the figure, and until when; NULL where a later row of the same thing takes its place.
amounts AS (
  SELECT
    k.rule, k.need, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.micro_conversion, k.amount,
    k.amount AS change, k.event_us + k.within_us AS until_us
  FROM rows_of_rules AS k
  WHERE k.once IS NULL AND k.measure != 'switches'
  UNION ALL
  SELECT
    k.rule, k.need, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.micro_conversion, k.amount,
    k.amount - IF(k.event_us - k.former_us <= k.within_us, k.former_amount, 0) AS change,
    IF(k.next_us - k.event_us <= k.within_us, NULL, k.event_us + k.within_us) AS until_us
  FROM counted_once AS k
  UNION ALL
  -- A switch is two rows: it is there as long as the first of them is within the time.
  SELECT
    k.rule, k.need, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.micro_conversion, k.amount,
    k.amount AS change, k.former_us + k.within_us AS until_us
  FROM sides AS k
  WHERE k.former_side != k.side AND k.event_us - k.former_us <= k.within_us
),

{% if gathers %}
-- Several new values of one event are one change.
starts AS (
  SELECT
    a.rule, a.actor_key, a.held, a.event_us, a.event_order, a.client,
    MIN(a.need) AS need,
    MIN(a.micro_conversion) AS micro_conversion,
    SUM(a.change) AS change
  FROM amounts AS a
  GROUP BY a.rule, a.actor_key, a.held, a.event_us, a.event_order, a.client
),

{% endif %}
changes AS (
  SELECT s.rule, s.actor_key, s.held, s.need, s.event_us, 1 AS is_start, s.event_order, s.client, s.micro_conversion, s.change
  FROM {% if gathers %}starts{% else %}amounts{% endif %} AS s
  UNION ALL
  SELECT
    a.rule, a.actor_key, a.held, a.need, a.until_us + 1 AS event_us, 0 AS is_start, a.event_order, a.client,
    a.micro_conversion, -a.amount AS change
  FROM amounts AS a
  WHERE a.until_us IS NOT NULL
),

swept AS (
  SELECT
    k.*,
    SUM(k.change) OVER (
      {{ of_stream }} ORDER BY k.event_us, k.is_start, k.event_order, k.client, k.micro_conversion, k.change
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS figure
  FROM changes AS k
),

born AS (
  SELECT DISTINCT s.rule, s.actor_key, s.event_order, s.client, s.micro_conversion
  FROM swept AS s
  WHERE s.is_start = 1 AND s.figure >= s.need AND s.figure - s.change < s.need
)

SELECT
  o.property,
  o.event_date,
  o.event_at,
  o.event_order,
  r.micro_conversion,
  r.kind,
  r.stage,
  o.client_key,
  o.actor_key,
  o.session_key,
  {{ derived.value_of_rule('o' | identifier, 'r' | identifier) }} AS value,
  {{ derived.money_of_rule('o' | identifier, 'r' | identifier, 'currency') }} AS currency,
  {{ derived.money_of_rule('o' | identifier, 'r' | identifier, 'value_in_usd') }} AS value_in_usd,
  o.transaction_id,
  o.page,
  o.is_provisional,
  1 AS copies,
  CAST(NULL AS INT64) AS engagement_msec,
  TRUE AS is_derived
  {%- for column in properties %}, o.{{ column | identifier }}{% endfor %}

FROM born AS b
INNER JOIN rules AS r ON r.rule = b.rule
INNER JOIN {{ derived.occurrences(derived.kept) }} AS o
  ON o.actor_key = b.actor_key
    AND o.event_order = b.event_order
    AND o.micro_conversion = b.micro_conversion
    AND {{ derived.client('o' | identifier) }} = b.client
WHERE o.event_date >= @first_day
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY r.micro_conversion, o.client_key, o.event_order ORDER BY o.micro_conversion, r.rule
) = 1
