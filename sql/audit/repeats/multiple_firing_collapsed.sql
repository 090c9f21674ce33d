-- Events that `collapse` took for repeats of another one. Here they count once; in GA4's own reports, and for whoever
-- else reads the export, each of them counts.
-- severity: note
-- finding: Several times for one act: {count} of {total} events of {subject} ({share}) repeat another one within its
--   collapse time, {dates}. Here they count once, in GA4's reports each time.
-- remedy: Find out which tag or trigger fires twice. The figures here need nothing.
-- threshold: min_share FLOAT64 = 0.05 share of the entry's events of a day from which it is told
-- threshold: min_count INT64 = 5 repeats of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    o.micro_conversion AS subject,
    o.event_date,
    CAST(SUM(COALESCE(o.copies, 1) - 1) AS INT64) AS count,
    CAST(SUM(COALESCE(o.copies, 1)) AS INT64) AS total,
    CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_micro_conversions') }} AS o
  WHERE o.micro_conversion IN UNNEST(@entry_ids) AND {{ in_period('o.event_date' | identifier) }}
  GROUP BY o.micro_conversion, o.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
