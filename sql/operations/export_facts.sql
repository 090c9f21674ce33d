-- What the staged export shows that its reader should know, counted: `occurrences` of `of_all`, and an `amount` where
-- there is one. Each fact is one SELECT of the last UNION; `staging/export_findings.py` says what it means.
-- It reads no events of the export: sync asks it each time it staged something. What only they tell is counted by day in
-- mc_shards.
-- grain: fact, subject
-- params: valued ARRAY<STRING>, external_names ARRAY<STRING>
-- structure: none
{% from 'staging/_spans.sql' import day_offsets, weeks %}
WITH amounts AS (
  SELECT
    COALESCE(m.currency, '') AS currency,
    CAST(ROUND(m.value * 1e6) AS INT64) AS micros,
    CAST(ROUND(m.value_in_usd * 1e6) AS INT64) AS micros_in_usd
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@valued) AND m.value <> 0
),

external_rows AS (
  SELECT
    e.source,
    e.name,
    e.row_key,
    e.name IN UNNEST(@external_names) AS is_counted,
    e.event_date < d.first_date AS is_before,
    u.actor_key IS NOT NULL OR c.client_key IS NOT NULL AS is_known
  FROM {{ relation('mc_external_events') }} AS e
  INNER JOIN {{ relation('mc_external_files') }} AS f ON f.reading = e.reading
  CROSS JOIN (SELECT MIN(h.event_date) AS first_date FROM {{ relation('mc_shards') }} AS h) AS d
  LEFT JOIN (
    SELECT DISTINCT s.actor_key FROM {{ relation('mc_sessions') }} AS s WHERE s.user_id IS NOT NULL
  ) AS u ON u.actor_key = e.user_key
  LEFT JOIN (SELECT DISTINCT s.client_key FROM {{ relation('mc_sessions') }} AS s) AS c ON c.client_key = e.client_key
),

{{ weeks(relation('mc_shards')) }}

-- The currency of each value that an event names itself; '' where it names none.
SELECT
  'currency' AS fact,
  a.currency AS subject,
  COUNT(*) AS occurrences,
  CAST(SUM(COUNT(*)) OVER () AS INT64) AS of_all,
  SUM(a.micros) / 1e6 AS amount
FROM amounts AS a
GROUP BY a.currency

UNION ALL

-- Those of them that GA4 converted to US dollars, and what they are worth there.
SELECT
  'currency_in_usd' AS fact,
  a.currency AS subject,
  COUNT(a.micros_in_usd) AS occurrences,
  COUNT(*) AS of_all,
  SUM(a.micros_in_usd) / 1e6 AS amount
FROM amounts AS a
WHERE a.currency <> 'USD'
GROUP BY a.currency

UNION ALL

-- Days whose daily shard holds no event.
SELECT
  'empty_day' AS fact,
  CAST(h.event_date AS STRING) AS subject,
  COUNT(*) AS occurrences,
  MAX(d.days) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM {{ relation('mc_shards') }} AS h
CROSS JOIN (SELECT COUNT(*) AS days FROM {{ relation('mc_shards') }}) AS d
WHERE h.kind = 'daily' AND h.events = 0
GROUP BY h.event_date

UNION ALL

-- Ids that are placeholders, of all that were sent, by kind.
SELECT
  'placeholder_id' AS fact,
  k.kind AS subject,
  CAST(SUM(k.placeholders) AS INT64) AS occurrences,
  CAST(SUM(k.placeholders + k.ids) AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM (
  SELECT 'user_id' AS kind, h.placeholder_user_ids AS placeholders, h.user_ids AS ids
  FROM {{ relation('mc_shards') }} AS h
  UNION ALL
  SELECT 'transaction_id' AS kind, h.placeholder_transaction_ids AS placeholders, h.transaction_ids AS ids
  FROM {{ relation('mc_shards') }} AS h
  UNION ALL
  SELECT
    'user_pseudo_id' AS kind,
    h.placeholder_client_ids AS placeholders,
    h.events - h.consentless_events AS ids
  FROM {{ relation('mc_shards') }} AS h
) AS k
GROUP BY k.kind
HAVING SUM(k.placeholders) > 0

UNION ALL

-- Events of clients that have no session on the day.
SELECT
  'sessionless' AS fact,
  '' AS subject,
  CAST(SUM(h.sessionless_events) AS INT64) AS occurrences,
  CAST(SUM(h.events) AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM {{ relation('mc_shards') }} AS h
HAVING SUM(h.sessionless_events) > 0

UNION ALL

-- Events whose time lies outside their day in every time zone.
SELECT
  'stray_event' AS fact,
  '' AS subject,
  CAST(SUM(h.stray_events) AS INT64) AS occurrences,
  CAST(SUM(h.events) AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM {{ relation('mc_shards') }} AS h
HAVING SUM(h.stray_events) > 0

UNION ALL

-- When days begin.
{{ day_offsets() }}

UNION ALL

-- Sessions that began on a page reached from an own host, by host; the amount are their macro-conversions.
SELECT
  'self_referral' AS fact,
  s.self_referrer AS subject,
  COUNT(*) AS occurrences,
  MAX(n.sessions) AS of_all,
  CAST(COALESCE(SUM(c.conversions), 0) AS FLOAT64) AS amount
FROM {{ relation('mc_sessions') }} AS s
CROSS JOIN (SELECT COUNT(*) AS sessions FROM {{ relation('mc_sessions') }}) AS n
LEFT JOIN (
  SELECT m.session_key, COUNT(*) AS conversions
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.kind = 'macro'
  GROUP BY m.session_key
) AS c ON c.session_key = s.session_key
WHERE s.self_referrer IS NOT NULL AND s.source_rule IN ('direct', 'last_non_direct')
GROUP BY s.self_referrer

UNION ALL

-- Rows of other systems' tables that were refused: of each file, with why and where.
SELECT
  'external_refused' AS fact,
  CONCAT(f.refusals, ' ', f.source, ' ', f.file) AS subject,
  f.rows_refused AS occurrences,
  f.rows_read AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM {{ relation('mc_external_files') }} AS f
WHERE f.rows_refused > 0

UNION ALL

-- Those whose moment said no offset.
SELECT
  'external_without_zone' AS fact,
  f.source AS subject,
  CAST(SUM(f.rows_without_zone) AS INT64) AS occurrences,
  CAST(SUM(f.rows_kept) AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM {{ relation('mc_external_files') }} AS f
WHERE f.kind = 'events'
GROUP BY f.source
HAVING SUM(f.rows_without_zone) > 0

UNION ALL

-- Those with a name that no entry of the taxonomy listens to: the most frequent names of each source that can be of
-- nobody, and all others together; the amount are their names.
SELECT
  'external_unknown_name' AS fact,
  CONCAT(u.source, ' ', u.told_name) AS subject,
  CAST(SUM(u.name_rows) AS INT64) AS occurrences,
  MAX(n.of_source) AS of_all,
  CAST(COUNT(*) AS FLOAT64) AS amount
FROM (
  SELECT
    t.source,
    t.name_rows,
    IF(
      ROW_NUMBER() OVER (PARTITION BY t.source ORDER BY t.name_rows DESC, t.name) <= 20
      AND REGEXP_CONTAINS(t.name, r'^[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*$'),
      t.name, ''
    ) AS told_name
  FROM (
    SELECT r.source, r.name, COUNT(*) AS name_rows
    FROM external_rows AS r
    WHERE NOT r.is_counted
    GROUP BY r.source, r.name
  ) AS t
) AS u
INNER JOIN (
  SELECT a.source, COUNT(*) AS of_source FROM external_rows AS a GROUP BY a.source
) AS n ON n.source = u.source
GROUP BY u.source, u.told_name

UNION ALL

-- Those that are there exactly once more.
SELECT
  'external_repeated' AS fact,
  r.source AS subject,
  COUNT(*) - COUNT(DISTINCT r.row_key) AS occurrences,
  COUNT(*) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM external_rows AS r
GROUP BY r.source
HAVING COUNT(*) > COUNT(DISTINCT r.row_key)

UNION ALL

-- Those of users and clients that the export does not have.
SELECT
  'external_stranger' AS fact,
  r.source AS subject,
  COUNTIF(NOT r.is_known) AS occurrences,
  COUNT(*) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM external_rows AS r
WHERE r.is_counted
GROUP BY r.source
HAVING COUNTIF(NOT r.is_known) > 0

UNION ALL

-- Those of days before the first that is staged.
SELECT
  'external_before' AS fact,
  r.source AS subject,
  COUNTIF(r.is_before) AS occurrences,
  COUNT(*) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM external_rows AS r
WHERE r.is_counted
GROUP BY r.source
HAVING COUNTIF(r.is_before) > 0
ORDER BY fact, subject
