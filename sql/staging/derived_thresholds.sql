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
{% for each in looked_at if each.column not in read and not each.is_list %}{% set _ = read.append(each.column) %}{% endfor %}
{% set by_value = holds or gathers %}
{% set all_read = read + (looked_at | selectattr('is_list') | map(attribute='column') | list) %}
{% set total %}{{ derived.number_of('m' | identifier, 'm.counted' | identifier) }}{% endset %}
{% macro number_of_text(row, chosen) -%}
CASE {{ chosen }}
      {% for each in looked_at %}
      WHEN {{ each.place }} THEN {{ row }}.{{ ('number_' ~ each.place) | identifier }}
      {% endfor %}
    END
{%- endmacro %}
{% set of_stream %}PARTITION BY k.rule, k.actor_key, k.held{% endset %}
WITH {{ derived.rules() }},

pairs AS (
  SELECT
    entry,
    DENSE_RANK() OVER (ORDER BY entry) AS entry_number,
    @pair_rules[OFFSET(place)] AS rule,
    @pair_sides[OFFSET(place)] AS side,
    @rule_measures[OFFSET(@pair_rules[OFFSET(place)])] AS measure,
    @rule_needs[OFFSET(@pair_rules[OFFSET(place)])] AS need,
    @rule_within_us[OFFSET(@pair_rules[OFFSET(place)])] AS within_us,
    @rule_same[OFFSET(@pair_rules[OFFSET(place)])] AS same,
    @rule_counted[OFFSET(@pair_rules[OFFSET(place)])] AS counted,
    {% if gathers %}
    IF(
      @rule_measures[OFFSET(@pair_rules[OFFSET(place)])] = 'distinct', @rule_counted[OFFSET(@pair_rules[OFFSET(place)])], -1
    ) AS gathered,
    {% endif %}
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
    CAST(SUM(COALESCE(o.engagement_msec, 0)) AS INT64) AS engagement,
    MAX({{ derived.moment('o' | identifier) }}) AS last_us
  FROM {{ derived.occurrences(['actor_key', 'micro_conversion', 'session_key', 'event_date', 'engagement_msec', 'event_at']) }} AS o
  GROUP BY o.actor_key, o.micro_conversion
),

candidates AS (
  SELECT p.rule, b.actor_key, MAX(b.last_us) AS last_us
  FROM busy AS b
  INNER JOIN pairs AS p ON p.entry = b.micro_conversion
  GROUP BY p.rule, b.actor_key
  HAVING
    SUM(b.occurrences) >= MIN(p.least_rows)
    AND SUM(
      CASE p.measure WHEN 'sessions' THEN b.sessions WHEN 'days' THEN b.days WHEN 'engagement' THEN b.engagement ELSE p.need END
    ) >= MIN(p.need)
),

{% if by_value %}
-- The properties whose values tell rows apart, by entry.
asked AS (
  SELECT DISTINCT p.entry, place
  FROM pairs AS p
  CROSS JOIN UNNEST([{% if holds %}p.same{% endif %}{% if holds and gathers %}, {% endif %}{% if gathers %}p.gathered{% endif %}]) AS place
  WHERE place >= 0
),

-- Texts are long and the same ones come again and again: each is split once, and told by its number from here on.
texts AS (
  {% for each in looked_at %}
  SELECT {{ each.place }} AS place, t.text, ROW_NUMBER() OVER (ORDER BY t.text) AS number
  FROM (
    SELECT DISTINCT CAST(o.{{ each.column | identifier }} AS STRING) AS text
    FROM {{ derived.occurrences(['micro_conversion', each.column]) }} AS o
    INNER JOIN asked AS a ON a.entry = o.micro_conversion
    WHERE a.place = {{ each.place }} AND o.{{ each.column | identifier }} IS NOT NULL
  ) AS t
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

values_of_texts AS (
  {% for each in looked_at %}
  {% if each.is_list %}
  SELECT t.place, t.number, DENSE_RANK() OVER (ORDER BY line) AS value
  FROM texts AS t
  CROSS JOIN UNNEST(SPLIT(t.text, '\n')) AS line
  {% else %}
  SELECT t.place, t.number, t.number AS value
  FROM texts AS t
  {% endif %}
  WHERE t.place = {{ each.place }}
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

told AS (
  SELECT
    {% for column in read %}
    o.{{ column | identifier }},
    {% endfor %}
    {% for each in looked_at %}
    {{ ('t' ~ each.place) | identifier }}.number AS {{ ('number_' ~ each.place) | identifier }}{% if not loop.last %},{% endif %}

    {% endfor %}
  FROM {{ derived.occurrences(all_read) }} AS o
  {% for each in looked_at %}
  {% set t = ('t' ~ each.place) | identifier %}
  LEFT JOIN texts AS {{ t }} ON {{ t }}.place = {{ each.place }} AND {{ t }}.text = CAST(o.{{ each.column | identifier }} AS STRING)
  {% endfor %}
  WHERE o.micro_conversion IN (SELECT p.entry FROM pairs AS p)
),

seen AS (
  {% for each in looked_at %}
  {% set number = ('number_' ~ each.place) | identifier %}
  SELECT {{ each.place }} AS place, o.actor_key, o.micro_conversion, o.{{ number }} AS number, COUNT(*) AS occurrences
  FROM told AS o
  INNER JOIN asked AS a ON a.entry = o.micro_conversion
  WHERE a.place = {{ each.place }} AND o.{{ number }} IS NOT NULL
  GROUP BY o.actor_key, o.micro_conversion, o.{{ number }}
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

values_of_actors AS (
  SELECT s.place, s.actor_key, s.number, v.value
  FROM (SELECT DISTINCT n.place, n.actor_key, n.number FROM seen AS n) AS s
  INNER JOIN values_of_texts AS v ON v.place = s.place AND v.number = s.number
),

spread AS (
  SELECT
    v.place,
    v.actor_key,
    v.value,
    COUNT(*) AS texts,
    MIN(v.number) AS least,
    MAX(v.number) AS greatest,
    CAST(SUM(v.number) AS INT64) AS total
  FROM values_of_actors AS v
  GROUP BY v.place, v.actor_key, v.value
),

-- Values that an actor has in the same texts are on the same rows: one of them stands for all. Up to three texts are told for
-- certain by how many they are, the first, the last and the sum of their numbers.
alike AS (
  SELECT s.place, s.actor_key, MIN(s.value) AS value, COUNT(*) AS weight
  FROM spread AS s
  GROUP BY s.place, s.actor_key, s.texts, s.least, s.greatest, s.total, IF(s.texts > 3, s.value, NULL)
),

members AS (
  SELECT v.place, v.actor_key, v.number, v.value, a.weight
  FROM values_of_actors AS v
  INNER JOIN alike AS a ON a.place = v.place AND a.actor_key = v.actor_key AND a.value = v.value
),

-- What has too few rows with one value, or too few values, cannot reach it either.
rows_of_values AS (
  SELECT s.place, s.actor_key, s.micro_conversion, m.value, MIN(m.weight) AS weight, SUM(s.occurrences) AS occurrences
  FROM seen AS s
  INNER JOIN members AS m ON m.place = s.place AND m.actor_key = s.actor_key AND m.number = s.number
  GROUP BY s.place, s.actor_key, s.micro_conversion, m.value
),

{% if holds %}
held_values AS (
  SELECT p.rule, p.same, v.actor_key, v.value
  FROM rows_of_values AS v
  INNER JOIN pairs AS p ON p.entry = v.micro_conversion AND p.same = v.place
  GROUP BY p.rule, p.same, v.actor_key, v.value
  HAVING SUM(v.occurrences) >= MIN(p.least_rows)
),

held_texts AS (
  SELECT h.rule, h.actor_key, m.number, h.value
  FROM held_values AS h
  INNER JOIN members AS m ON m.place = h.same AND m.actor_key = h.actor_key AND m.value = h.value
),

{% endif %}
{% if gathers %}
gatherers AS (
  SELECT p.rule, v.actor_key
  FROM (
    SELECT r.place, r.actor_key, r.micro_conversion, SUM(r.weight) AS weight
    FROM rows_of_values AS r
    GROUP BY r.place, r.actor_key, r.micro_conversion
  ) AS v
  INNER JOIN pairs AS p ON p.entry = v.micro_conversion AND p.gathered = v.place
  GROUP BY p.rule, v.actor_key
  HAVING SUM(v.weight) >= MIN(p.need)
),

{% endif %}
{% endif %}
wanted AS (
  SELECT c.actor_key, c.last_us, p.*
  FROM candidates AS c
  INNER JOIN pairs AS p ON p.rule = c.rule
  {% if gathers %}
  LEFT JOIN gatherers AS g ON g.rule = c.rule AND g.actor_key = c.actor_key
  WHERE p.gathered = -1 OR g.rule IS NOT NULL
  {% endif %}
),

-- A row for each value that is held; without one there is none.
matched AS (
  SELECT
    w.rule,
    w.measure,
    w.need,
    w.within_us,
    w.last_us,
    w.side,
    w.counted,
    w.entry_number,
    {% if holds %}
    COALESCE(h.value, -1) AS held,
    {% else %}
    -1 AS held,
    {% endif %}
    {% if gathers %}
    w.gathered,
    {{ number_of_text('o' | identifier, 'w.gathered' | identifier) }} AS number,
    {% endif %}
    {% for column in read %}
    o.{{ column | identifier }}{% if not loop.last %},{% endif %}

    {% endfor %}
  FROM {% if by_value %}told{% else %}{{ derived.occurrences(read) }}{% endif %} AS o
  INNER JOIN wanted AS w ON w.actor_key = o.actor_key AND w.entry = o.micro_conversion
  {% if holds %}
  LEFT JOIN held_texts AS h
    ON h.rule = w.rule
      AND h.actor_key = w.actor_key
      AND h.number = {{ number_of_text('o' | identifier, 'w.same' | identifier) }}
  WHERE w.same = -1 OR h.rule IS NOT NULL
  {% endif %}
),

-- Numbers are sorted and compared faster than texts.
transactions AS (
  SELECT t.micro_conversion, t.transaction_id, ROW_NUMBER() OVER (ORDER BY t.micro_conversion, t.transaction_id) AS number
  FROM (
    SELECT DISTINCT o.micro_conversion, o.transaction_id
    FROM {{ derived.occurrences(['micro_conversion', 'transaction_id']) }} AS o
    WHERE o.transaction_id IS NOT NULL
  ) AS t
),

chosen AS (
  SELECT
    m.rule,
    m.measure,
    m.need,
    m.within_us,
    m.last_us,
    m.side,
    m.actor_key,
    {{ derived.client('m' | identifier) }} AS client,
    m.event_order,
    {{ derived.moment('m' | identifier) }} AS event_us,
    m.entry_number,
    m.held,
    CASE m.measure
      WHEN 'sessions' THEN m.session_key
      WHEN 'days' THEN UNIX_DATE(m.event_date)
      {% if gathers %}
      WHEN 'distinct' THEN v.value
      {% endif %}
      ELSE t.number
    END AS once,
    CASE m.measure
      -- Whole thousandths: sums do not depend on their order. What is enough alone counts as no more than that.
      WHEN 'total' THEN IF({{ total }} > 0 AND {{ total }} <= 1e10, LEAST(CAST(ROUND({{ total }} * 1000) AS INT64), m.need), 0)
      WHEN 'engagement' THEN LEAST(COALESCE(m.engagement_msec, 0), m.need)
      WHEN 'sessions' THEN IF(m.session_key IS NULL, 0, 1)
      {% if gathers %}
      WHEN 'distinct' THEN v.weight
      {% endif %}
      ELSE 1
    END AS amount
  FROM matched AS m
  LEFT JOIN transactions AS t ON t.micro_conversion = m.micro_conversion AND t.transaction_id = m.transaction_id
  {% if gathers %}
  LEFT JOIN members AS v ON v.place = m.gathered AND v.actor_key = m.actor_key AND v.number = m.number
  WHERE m.gathered = -1 OR v.place IS NOT NULL
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
    ORDER BY c.amount DESC, c.side, c.entry_number, c.once
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

-- What each row adds to the figure, and until when; NULL where a later row of the same thing takes its place. What ends
-- after the actor's last row ends unseen.
amounts AS (
  SELECT
    k.rule, k.measure, k.need, k.last_us, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.entry_number, k.amount,
    k.amount AS change, k.event_us + k.within_us AS until_us
  FROM rows_of_rules AS k
  WHERE k.once IS NULL AND k.measure != 'switches'
  UNION ALL
  SELECT
    k.rule, k.measure, k.need, k.last_us, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.entry_number, k.amount,
    k.amount - IF(k.event_us - k.former_us <= k.within_us, k.former_amount, 0) AS change,
    IF(k.next_us - k.event_us <= k.within_us, NULL, k.event_us + k.within_us) AS until_us
  FROM counted_once AS k
  UNION ALL
  -- A switch is two rows: it is there as long as the first of them is within the time.
  SELECT
    k.rule, k.measure, k.need, k.last_us, k.actor_key, k.held, k.client, k.event_order, k.event_us, k.entry_number, k.amount,
    k.amount AS change, k.former_us + k.within_us AS until_us
  FROM sides AS k
  WHERE k.former_side != k.side AND k.event_us - k.former_us <= k.within_us
),

{% if gathers %}
-- Several new values of one event are one change.
starts AS (
  SELECT a.rule, a.need, a.actor_key, a.held, a.event_us, a.event_order, a.client, a.entry_number, a.change
  FROM amounts AS a
  WHERE a.measure != 'distinct'
  UNION ALL
  SELECT
    a.rule, MIN(a.need) AS need, a.actor_key, a.held, a.event_us, a.event_order, a.client,
    MIN(a.entry_number) AS entry_number, SUM(a.change) AS change
  FROM amounts AS a
  WHERE a.measure = 'distinct'
  GROUP BY a.rule, a.actor_key, a.held, a.event_us, a.event_order, a.client
),

{% endif %}
changes AS (
  SELECT s.rule, s.actor_key, s.held, s.need, s.event_us, 1 AS is_start, s.event_order, s.client, s.entry_number, s.change
  FROM {% if gathers %}starts{% else %}amounts{% endif %} AS s
  WHERE s.change != 0
  UNION ALL
  SELECT
    a.rule, a.actor_key, a.held, a.need, a.until_us + 1 AS event_us, 0 AS is_start, a.event_order, a.client,
    a.entry_number, -a.amount AS change
  FROM amounts AS a
  WHERE a.until_us < a.last_us
),

swept AS (
  SELECT
    k.*,
    SUM(k.change) OVER (
      {{ of_stream }} ORDER BY k.event_us, k.is_start, k.event_order, k.client, k.change
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS figure
  FROM changes AS k
),

born AS (
  SELECT DISTINCT s.rule, s.actor_key, s.event_order, s.client, e.entry
  FROM swept AS s
  INNER JOIN (SELECT DISTINCT p.entry, p.entry_number FROM pairs AS p) AS e ON e.entry_number = s.entry_number
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
    AND o.micro_conversion = b.entry
    AND {{ derived.client('o' | identifier) }} = b.client
WHERE o.event_date >= @first_day
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY r.micro_conversion, o.client_key, o.event_order ORDER BY o.micro_conversion, r.rule
) = 1
