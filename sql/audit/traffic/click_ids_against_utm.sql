-- Sessions that begin with the click id of an advertisement, and yet come from elsewhere by their UTM parameters, or from
-- no campaign by GA4.
-- severity: warning
-- finding: {count} of {total} sessions ({share}) {dates} whose first page has the click id {subject} in its address are
--   told as {detail} by UTM parameters or by GA4.
-- remedy: For gclid, link Google Ads with the property, leave auto-tagging on, and use no UTM parameters of another
--   channel in advertisements. For the ids of others, add utm_source, utm_medium and utm_campaign to the links: GA4
--   understands Google's ids alone. In microconv the click id decides, so its channels are those of the advertisement.
-- threshold: min_share FLOAT64 = 0.05 share of the sessions with this click id from which it is told
-- threshold: min_count INT64 = 10 sessions from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, paid_click_ids ARRAY<STRING>, paid_click_aliases ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import told %}
{% from '_urls.sql' import unescape %}
{% set medium %}REGEXP_EXTRACT(p.page_location, r'[?&]utm_medium=([^&#]+)'){% endset %}
{% set source %}REGEXP_EXTRACT(p.page_location, r'[?&]utm_source=([^&#]+)'){% endset %}
WITH pages AS (
  SELECT n.page_location, MIN(place) AS place
  FROM (
    SELECT DISTINCT e.page_location
    FROM {{ relation('mc_events') }} AS e
    WHERE {{ in_period('e.event_date' | identifier) }} AND STRPOS(e.page_location, '=') > 0
  ) AS n
  CROSS JOIN UNNEST(@paid_click_ids) AS click_id WITH OFFSET AS place
  WHERE REGEXP_CONTAINS(n.page_location, CONCAT('[?&]', click_id, '=[^&#]'))
  GROUP BY n.page_location
),

tagged AS (
  SELECT
    p.page_location,
    @paid_click_ids[OFFSET(p.place)] AS click_id,
    @paid_click_aliases[OFFSET(p.place)] AS aliases,
    LOWER({{ unescape(source) }}) AS utm_source,
    LOWER({{ unescape(medium) }}) AS utm_medium
  FROM pages AS p
),

said AS (
  SELECT
    e.session_key,
    MIN(e.event_date) AS event_date,
    ANY_VALUE(e.page_location HAVING MIN IF(e.page_location IS NULL, NULL, e.event_order)) AS first_page,
    ANY_VALUE(
      STRUCT(
        COALESCE(e.traffic_source, '(not set)') AS source, LOWER(COALESCE(e.traffic_medium, '(not set)')) AS medium
      )
      HAVING MIN IF(e.traffic_rule IS NULL, NULL, e.event_order)
    ) AS stated,
    LOGICAL_OR(e.traffic_rule IS NOT NULL) AS is_stated
  FROM {{ relation('mc_events') }} AS e
  WHERE e.session_key IS NOT NULL AND {{ in_period('e.event_date' | identifier) }}
  GROUP BY e.session_key
),

-- Google's own ids need no UTM parameters: GA4 reads them itself.
judged AS (
  SELECT
    s.event_date,
    t.click_id,
    CASE
      WHEN t.utm_source IS NOT NULL AND NOT t.utm_source IN UNNEST(SPLIT(t.aliases, '|'))
        THEN CONCAT(t.utm_source, ' / ', COALESCE(t.utm_medium, '(not set)'))
      WHEN s.is_stated AND s.stated.medium IN ('organic', 'referral', '(none)', '(not set)')
        THEN CONCAT(s.stated.source, ' / ', s.stated.medium)
      WHEN NOT s.is_stated AND t.utm_source IS NULL AND NOT t.click_id IN ('gclid', 'gbraid', 'wbraid', 'dclid')
        THEN 'nothing'
    END AS told_as
  FROM said AS s
  INNER JOIN tagged AS t ON t.page_location = s.first_page
),

days AS (
  SELECT
    j.click_id AS subject,
    j.event_date,
    COUNT(j.told_as) AS count,
    COUNT(*) AS total,
    MIN(j.told_as) AS detail
  FROM judged AS j
  GROUP BY j.click_id, j.event_date
)

{{ told('days') }}
ORDER BY subject, event_date
