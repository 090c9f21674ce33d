-- Parameters that hold what a tag sends when it knows nothing: (not set), (other), undefined, null, NaN, [object
-- Object].
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}) are placeholders such as (not set), undefined or null
--   {dates}, mostly with {detail}.
-- remedy: Send the parameter only when its value is known: look at the variable that fills it in the tag manager.
-- threshold: min_share FLOAT64 = 0.02 share of the parameter's values of a day from which it is told
-- threshold: min_count INT64 = 10 values of a day below which a single day is not told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% from 'audit/_days.sql' import in_period, standing_out %}
WITH days AS (
  SELECT
    REGEXP_REPLACE(p.parameter, r'^user_property\.', 'the user property ') AS subject,
    p.event_date,
    CAST(SUM(COALESCE(p.rows_placeholder, 0)) AS INT64) AS count,
    CAST(SUM(p.event_rows) AS INT64) AS total,
    ANY_VALUE(p.event_name HAVING MAX p.rows_placeholder) AS detail
  FROM {{ relation('mc_profile') }} AS p
  WHERE
    p.value_type NOT IN ('', 'null')
    -- What GA4 itself writes there about where visitors came from.
    AND p.parameter NOT IN ('', 'source', 'medium', 'campaign', 'campaign_id', 'term', 'content', 'gclid')
    AND {{ in_period('p.event_date' | identifier) }}
  GROUP BY p.parameter, p.event_date
)

{{ standing_out('days') }}
ORDER BY subject, event_date
