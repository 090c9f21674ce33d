-- Occurrences of taxonomy entries among the staged events of other systems of one property: all of them, from what was
-- read of each file or table last. A row that several of them hold exactly counts once.
-- The actor is the row's own user, else the one user of its client, else the client; who has no client stands for one.
-- At the same microsecond what the export tells comes first.
-- grain: property, event_date, client_key, event_order, micro_conversion
-- params: property STRING, readings ARRAY<STRING>, pair_names ARRAY<STRING>, pair_entries ARRAY<INT64>,
--   counts_as ARRAY<STRING>, kinds ARRAY<STRING>, stages ARRAY<STRING>, value_rules ARRAY<STRING>,
--   fixed_values ARRAY<FLOAT64>
-- structure: properties
WITH pairs AS (
  SELECT
    pair_name AS name,
    @pair_entries[OFFSET(place)] AS entry,
    @counts_as[OFFSET(place)] AS micro_conversion,
    @kinds[OFFSET(place)] AS kind,
    @stages[OFFSET(place)] AS stage,
    @value_rules[OFFSET(place)] AS value_rule,
    @fixed_values[OFFSET(place)] AS fixed_value
  FROM UNNEST(@pair_names) AS pair_name WITH OFFSET AS place
),

names AS (
  SELECT p.name, MIN(p.entry) AS first_entry
  FROM pairs AS p
  GROUP BY p.name
),

external_events AS (
  SELECT
    e.source,
    e.file,
    e.line,
    e.row_key,
    e.event_date,
    e.event_at,
    e.name,
    n.first_entry,
    COALESCE(e.client_key, e.user_key) AS client_key,
    e.user_key,
    e.value,
    e.currency,
    e.transaction_id
    {%- for property_column in properties %}, e.{{ property_column | identifier }}{% endfor %}

  FROM {{ relation('mc_external_events') }} AS e
  INNER JOIN names AS n ON n.name = e.name
  WHERE e.property = @property AND e.reading IN UNNEST(@readings)
),

numbered_copies AS (
  SELECT
    e.*,
    ROW_NUMBER() OVER (PARTITION BY e.source, e.row_key ORDER BY e.file, e.line) AS copy
  FROM external_events AS e
),

placed AS (
  SELECT
    c.*,
    UNIX_MICROS(c.event_at) * 1000 + 599 + ROW_NUMBER() OVER (
      PARTITION BY c.client_key, c.event_at ORDER BY c.first_entry, c.name, c.source, c.row_key
    ) AS event_order
  FROM numbered_copies AS c
  WHERE c.copy = 1
),

-- A client on which one user alone ever signed in is that user's.
actors AS (
  SELECT s.client_key, MIN(s.actor_key) AS actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.property = @property AND s.user_id IS NOT NULL
  GROUP BY s.client_key
  HAVING COUNT(DISTINCT s.user_id) = 1
)

SELECT
  @property AS property,
  o.event_date,
  o.event_at,
  o.event_order,
  p.micro_conversion,
  p.kind,
  p.stage,
  o.client_key,
  COALESCE(o.user_key, a.actor_key, o.client_key) AS actor_key,
  CAST(NULL AS INT64) AS session_key,
  CASE p.value_rule WHEN 'event' THEN o.value WHEN 'fixed' THEN p.fixed_value END AS value,
  IF(p.value_rule = 'event' AND o.value IS NOT NULL, o.currency, NULL) AS currency,
  CAST(NULL AS FLOAT64) AS value_in_usd,
  o.transaction_id,
  CAST(NULL AS STRING) AS page,
  FALSE AS is_provisional,
  1 AS copies,
  o.source AS external_source
  {%- for property_column in properties %}, o.{{ property_column | identifier }}{% endfor %}

FROM placed AS o
INNER JOIN pairs AS p ON p.name = o.name
LEFT JOIN actors AS a ON a.client_key = o.client_key
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY o.client_key, o.event_order, p.micro_conversion ORDER BY p.entry) = 1
