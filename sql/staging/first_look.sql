-- What some shards show before anything is configured, as facts: in which currencies events are, on which hosts pages lie,
-- and between which UTC offsets the days can begin.
-- grain: fact, subject
-- params: property STRING
-- structure: leaves, texts
{% import 'staging/_raw.sql' as raw with context %}
{% from '_urls.sql' import host %}
{% from 'staging/_money.sql' import currency_code %}
{% from 'staging/_spans.sql' import day_offsets, spans, weeks %}
{% set location %}l.page_location{% endset %}
{% set relation_looked_at %}looked_at{% endset %}
{% set relation_days %}days{% endset %}
WITH looked_at AS (
  SELECT
    PARSE_DATE('%Y%m%d', {{ raw.text('event_date') }}) AS event_date,
    TIMESTAMP_MICROS({{ raw.integer('event_timestamp') }}) AS event_at,
    {{ currency_code(raw.param_string(constant('currency'))) }} AS currency,
    {{ raw.param_string(constant('page_location')) }} AS page_location
  FROM {{ relation('raw_events') }} AS e
),

hosts AS (
  SELECT {{ host(location) }} AS host
  FROM looked_at AS l
),

{{ spans(relation_looked_at) }},

days AS (
  SELECT @property AS property, s.event_date, s.first_event_at, s.last_event_at
  FROM spans AS s
),

{{ weeks(relation_days) }}

SELECT
  'currency' AS fact,
  l.currency AS subject,
  COUNT(*) AS occurrences,
  CAST(SUM(COUNT(*)) OVER () AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM looked_at AS l
WHERE l.currency IS NOT NULL
GROUP BY l.currency

UNION ALL

SELECT
  'host' AS fact,
  h.host AS subject,
  COUNT(*) AS occurrences,
  CAST(SUM(COUNT(*)) OVER () AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM hosts AS h
WHERE h.host IS NOT NULL
GROUP BY h.host

UNION ALL

{{ day_offsets() }}
ORDER BY fact, subject
