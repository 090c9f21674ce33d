-- Occurrences of an entry that follow another one of the same client on the same page within a second: the tag fires
-- several times for one act, so that "at least 2 times", thresholds and segments count what nobody did twice.
-- severity: warning
-- finding: Several times for one act: {count} of {total} occurrences of {subject} ({share}) follow another one of the
--   same client on the same page within a second, {dates}.
-- remedy: Add collapse = "1s" to this entry of the taxonomy, so that repeats within a second count once, and find out
--   which tag or trigger fires twice.
-- threshold: min_share FLOAT64 = 0.05 share of the entry's occurrences of a day from which it is told
-- threshold: min_count INT64 = 5 repeats of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH gaps AS (
  SELECT
    o.micro_conversion,
    o.event_date,
    -- Two transactions are never one act, however fast they follow each other.
    UNIX_MICROS(o.event_at) - LAG(UNIX_MICROS(o.event_at)) OVER (
      PARTITION BY o.client_key, o.micro_conversion, o.page, o.transaction_id ORDER BY o.event_at, o.event_order
    ) AS gap_us
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE
    o.micro_conversion IN UNNEST(@entry_ids)
    AND o.external_source IS NULL
    AND NOT COALESCE(o.is_derived, FALSE)
    AND {{ in_period('o.event_date' | identifier) }}
),

days AS (
  SELECT
    g.micro_conversion AS subject,
    g.event_date,
    COUNTIF(g.gap_us <= 1000000) AS count,
    COUNT(*) AS total,
    CAST(NULL AS STRING) AS detail
  FROM gaps AS g
  GROUP BY g.micro_conversion, g.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
