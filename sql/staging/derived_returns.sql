-- Derived occurrences of one level that are a return: after the last `first` of an actor, and without an `end` since, the
-- beginning of a later session within the time, or what was named for it (`then`), once in a later session.
-- What happens at one moment as a return comes before it.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: rule_ids ARRAY<STRING>, rule_kinds ARRAY<STRING>, rule_stages ARRAY<STRING>, rule_value_rules ARRAY<STRING>,
--   rule_fixed_values ARRAY<FLOAT64>, rule_within_us ARRAY<INT64>, rule_same ARRAY<INT64>, session_rules ARRAY<INT64>,
--   pair_entries ARRAY<STRING>, pair_rules ARRAY<INT64>, pair_roles ARRAY<STRING>, first_day DATE
-- structure: earlier, properties, looked_at
{% import 'staging/_derived.sql' as derived with context %}
{% set read = ['actor_key', 'client_key', 'event_order', 'event_at', 'micro_conversion', 'session_key'] %}
{% for each in looked_at if each.column not in read %}{% set _ = read.append(each.column) %}{% endfor %}
WITH {{ derived.rules() }},

pairs AS (
  SELECT
    entry,
    @pair_rules[OFFSET(place)] AS rule,
    @pair_roles[OFFSET(place)] AS role,
    @rule_within_us[OFFSET(@pair_rules[OFFSET(place)])] AS within_us,
    @rule_same[OFFSET(@pair_rules[OFFSET(place)])] AS same
  FROM UNNEST(@pair_entries) AS entry WITH OFFSET AS place
),

seen AS (
  SELECT DISTINCT o.actor_key, o.micro_conversion
  FROM {{ derived.occurrences(['actor_key', 'micro_conversion']) }} AS o
),

-- Only who was there before can return.
beginners AS (
  SELECT DISTINCT p.rule, p.within_us, s.actor_key
  FROM seen AS s
  INNER JOIN pairs AS p ON p.entry = s.micro_conversion
  WHERE p.role = 'first'
),

wanted AS (
  SELECT b.actor_key, p.*
  FROM beginners AS b
  INNER JOIN pairs AS p ON p.rule = b.rule
),

marks AS (
  SELECT
    w.rule,
    w.role,
    w.within_us,
    o.actor_key,
    {{ derived.client('o' | identifier) }} AS client,
    o.session_key,
    o.event_order,
    {{ derived.moment('o' | identifier) }} AS event_us,
    UNIX_MICROS(s.started_at) AS started_us,
    o.micro_conversion,
    held
  FROM {{ derived.occurrences(read) }} AS o
  INNER JOIN wanted AS w ON w.actor_key = o.actor_key AND w.entry = o.micro_conversion
  LEFT JOIN {{ relation('session_starts') }} AS s ON s.session_key = o.session_key
  CROSS JOIN UNNEST({{ derived.values_of('o' | identifier, 'w.same' | identifier) }}) AS held
  UNION ALL
  SELECT
    b.rule,
    'then' AS role,
    b.within_us,
    s.actor_key,
    {{ derived.client('s' | identifier) }} AS client,
    s.session_key,
    UNIX_MICROS(s.started_at) * 1000 AS event_order,
    UNIX_MICROS(s.started_at) AS event_us,
    UNIX_MICROS(s.started_at) AS started_us,
    CAST(NULL AS STRING) AS micro_conversion,
    '' AS held
  FROM {{ relation('session_starts') }} AS s
  INNER JOIN beginners AS b ON b.actor_key = s.actor_key
  WHERE b.rule IN UNNEST(@session_rules)
),

looked_back AS (
  SELECT
    k.*,
    MAX(IF(k.role = 'first', k.event_order, NULL)) OVER (
      PARTITION BY k.rule, k.actor_key, k.held ORDER BY k.event_order RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS first_order,
    MAX(IF(k.role = 'first', k.event_us, NULL)) OVER (
      PARTITION BY k.rule, k.actor_key, k.held ORDER BY k.event_order RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS first_us,
    MAX(IF(k.role = 'end', k.event_order, NULL)) OVER (
      PARTITION BY k.rule, k.actor_key, k.held ORDER BY k.event_order RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS end_order
  FROM marks AS k
),

born AS (
  SELECT b.rule, b.actor_key, b.client, b.session_key, b.event_order, b.micro_conversion
  FROM looked_back AS b
  WHERE
    b.role = 'then'
    AND b.event_us - b.first_us <= b.within_us
    AND b.started_us > b.first_us
    AND COALESCE(b.end_order < b.first_order, TRUE)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY b.rule, b.actor_key, b.held, b.first_order ORDER BY b.event_order, b.client, b.session_key, b.micro_conversion
  ) = 1
),

occurrences AS (
  SELECT
    {% for column in derived.kept %}o.{{ column | identifier }}, {% endfor %}

    b.rule
  FROM born AS b
  INNER JOIN {{ derived.occurrences(derived.kept) }} AS o
    ON o.actor_key = b.actor_key
      AND o.event_order = b.event_order
      AND o.micro_conversion = b.micro_conversion
      AND {{ derived.client('o' | identifier) }} = b.client
  UNION ALL
  SELECT
    s.property,
    s.session_date AS event_date,
    s.started_at AS event_at,
    b.event_order,
    CAST(NULL AS STRING) AS micro_conversion,
    s.client_key,
    s.actor_key,
    s.session_key,
    CAST(NULL AS FLOAT64) AS value,
    CAST(NULL AS STRING) AS currency,
    CAST(NULL AS FLOAT64) AS value_in_usd,
    CAST(NULL AS STRING) AS transaction_id,
    s.landing_page AS page,
    s.is_provisional,
    {% for column in properties %}
    CAST(NULL AS STRING) AS {{ column | identifier }},
    {% endfor %}
    b.rule
  FROM born AS b
  INNER JOIN {{ relation('session_starts') }} AS s ON s.session_key = b.session_key
  WHERE b.micro_conversion IS NULL
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

FROM occurrences AS o
INNER JOIN rules AS r ON r.rule = o.rule
WHERE o.event_date >= @first_day
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY r.micro_conversion, o.client_key, o.event_order ORDER BY o.micro_conversion, o.session_key, r.rule
) = 1
