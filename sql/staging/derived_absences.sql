-- Derived occurrences of one level that are born by what did not happen: something begun and not ended in time (waits), or
-- nothing at all for a time, within a session (pauses). They lie on no event: their moment is that of the beginning and the
-- time, their order comes after all events of that moment; client, session, page and properties are those of the beginning.
-- What has begun anew waits anew. A pause is over when something follows it; a wait when all its days are staged and over:
-- on a day that is missing it may have ended. `over_since` is, for each day that is over, the first from which on none lacks.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: rule_ids ARRAY<STRING>, rule_kinds ARRAY<STRING>, rule_stages ARRAY<STRING>, rule_value_rules ARRAY<STRING>,
--   rule_fixed_values ARRAY<FLOAT64>, rule_within_us ARRAY<INT64>, rule_same ARRAY<INT64>, pair_entries ARRAY<STRING>,
--   pair_rules ARRAY<INT64>, pair_roles ARRAY<STRING>, doings ARRAY<STRING>, first_day DATE, days_over ARRAY<DATE>,
--   over_since ARRAY<DATE>, zone STRING
-- structure: earlier, properties, looked_at
{% import 'staging/_derived.sql' as derived with context %}
{% set read = ['actor_key', 'client_key', 'event_order', 'event_at', 'micro_conversion', 'session_key'] %}
{% set read_of_waits = ['actor_key', 'client_key', 'event_order', 'event_at', 'micro_conversion'] %}
{% for each in looked_at if each.column not in read_of_waits %}{% set _ = read_of_waits.append(each.column) %}{% endfor %}
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

-- Only who began can leave off.
beginners AS (
  SELECT DISTINCT p.rule, s.actor_key
  FROM seen AS s
  INNER JOIN pairs AS p ON p.entry = s.micro_conversion
  WHERE p.role = 'start'
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
    o.event_order,
    {{ derived.moment('o' | identifier) }} AS event_us,
    o.micro_conversion,
    held
  FROM {{ derived.occurrences(read_of_waits) }} AS o
  INNER JOIN wanted AS w ON w.actor_key = o.actor_key AND w.entry = o.micro_conversion
  CROSS JOIN UNNEST({{ derived.values_of('o' | identifier, 'w.same' | identifier) }}) AS held
),

-- Of what happens at one moment, the end counts as after the beginning.
waited AS (
  SELECT
    k.*,
    MIN(IF(k.role = 'end', k.event_us, NULL)) OVER (
      PARTITION BY k.rule, k.actor_key, k.held ORDER BY k.event_order DESC
      RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS end_us,
    MIN(IF(k.role = 'start', k.event_us, NULL)) OVER (
      PARTITION BY k.rule, k.actor_key, k.held ORDER BY k.event_order DESC, k.client DESC, k.micro_conversion DESC, k.role DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS next_us
  FROM marks AS k
),

-- What an actor did next in the same session.
courses AS (
  SELECT
    o.actor_key,
    {{ derived.client('o' | identifier) }} AS client,
    o.event_order,
    {{ derived.moment('o' | identifier) }} AS event_us,
    o.micro_conversion,
    MIN(IF(o.micro_conversion IN UNNEST(@doings), {{ derived.moment('o' | identifier) }}, NULL)) OVER (
      PARTITION BY o.session_key, o.actor_key ORDER BY o.event_order DESC
      RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS next_us
  FROM {{ derived.occurrences(read) }} AS o
  WHERE o.session_key IS NOT NULL
),

born AS (
  SELECT k.rule, k.actor_key, k.client, k.event_order, k.micro_conversion, k.event_us + k.within_us AS moment_us, TRUE AS waits
  FROM waited AS k
  WHERE
    k.role = 'start'
    AND COALESCE(k.end_us - k.event_us > k.within_us, TRUE)
    AND COALESCE(k.next_us - k.event_us > k.within_us, TRUE)
  UNION ALL
  SELECT p.rule, c.actor_key, c.client, c.event_order, c.micro_conversion, c.event_us + p.within_us AS moment_us, FALSE AS waits
  FROM courses AS c
  INNER JOIN pairs AS p ON p.entry = c.micro_conversion
  WHERE p.role = 'pause' AND c.next_us - c.event_us > p.within_us
),

dated AS (
  SELECT b.*, DATE(TIMESTAMP_MICROS(b.moment_us), @zone) AS day
  FROM born AS b
),

known AS (
  SELECT day, @over_since[OFFSET(place)] AS since
  FROM UNNEST(@days_over) AS day WITH OFFSET AS place
)

SELECT
  o.property,
  d.day AS event_date,
  TIMESTAMP_MICROS(d.moment_us) AS event_at,
  d.moment_us * 1000 + 999 AS event_order,
  r.micro_conversion,
  r.kind,
  r.stage,
  o.client_key,
  o.actor_key,
  o.session_key,
  {{ derived.value_of_rule('o' | identifier, 'r' | identifier) }} AS value,
  {{ derived.money_of_rule('o' | identifier, 'r' | identifier, 'currency') }} AS currency,
  {{ derived.money_of_rule('o' | identifier, 'r' | identifier, 'value_in_usd') }} AS value_in_usd,
  CAST(NULL AS STRING) AS transaction_id,
  o.page,
  o.is_provisional,
  1 AS copies,
  CAST(NULL AS INT64) AS engagement_msec,
  TRUE AS is_derived
  {%- for column in properties %}, o.{{ column | identifier }}{% endfor %}

FROM dated AS d
INNER JOIN rules AS r ON r.rule = d.rule
INNER JOIN {{ derived.occurrences(derived.kept) }} AS o
  ON o.actor_key = d.actor_key
    AND o.event_order = d.event_order
    AND o.micro_conversion = d.micro_conversion
    AND {{ derived.client('o' | identifier) }} = d.client
LEFT JOIN known AS n ON n.day = d.day
WHERE d.day >= @first_day AND (NOT d.waits OR n.since <= o.event_date)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY r.micro_conversion, o.client_key, d.moment_us ORDER BY o.event_order DESC, o.actor_key, o.micro_conversion, r.rule
) = 1
