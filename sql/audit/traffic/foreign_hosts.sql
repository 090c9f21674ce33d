-- Events of pages on hosts that are not the property's: a copy of the site, a translation service, somebody else's tag.
-- severity: warning
-- finding: {count} of {total} events ({share}) {dates} lie on pages of {subject}, which does not look like a host of
--   yours.
-- remedy: If it is yours, name it under own_hosts of the source. If not, somebody copied your pages with their tag,
--   or reads them through a proxy: keep such events out with a filter in the tag (hostname), since they count as visits
--   to your site.
-- threshold: own_share FLOAT64 = 0.05 share of events from which a host is the property's own
-- threshold: min_share FLOAT64 = 0.0001 share of events from which it is told
-- threshold: min_count INT64 = 20 events from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE, own_hosts ARRAY<STRING>
-- structure: none
{% from 'audit/_days.sql' import in_period %}
{% from 'audit/_told.sql' import on_each_day, told %}
{# The part of a host that somebody registered: two labels, or three under such as co.uk. #}
{% macro domain(host) -%}
REGEXP_EXTRACT({{ host }}, r'([^.]+\.(?:(?:ac|co|com|edu|gov|ne|net|or|org)\.)?[^.]+)$')
{%- endmacro %}
WITH hosts AS (
  SELECT h.host, SUM(h.events) AS events, SUM(SUM(h.events)) OVER () AS events_of_all
  FROM {{ relation('mc_hosts') }} AS h
  GROUP BY h.host
),

own_domains AS (
  SELECT DISTINCT {{ domain('h.host' | identifier) }} AS domain
  FROM hosts AS h
  WHERE h.events >= @own_share * h.events_of_all OR h.host IN UNNEST(@own_hosts)
  UNION DISTINCT
  SELECT {{ domain('own_host' | identifier) }} AS domain
  FROM UNNEST(@own_hosts) AS own_host
),

-- Hosts without a name of their own (addresses in numbers, localhost) are told as internal traffic.
foreign_hosts AS (
  SELECT h.host
  FROM hosts AS h
  LEFT JOIN own_domains AS o ON o.domain = {{ domain('h.host' | identifier) }}
  WHERE
    o.domain IS NULL
    AND STRPOS(h.host, '.') > 0
    AND NOT REGEXP_CONTAINS(h.host, r'^[0-9.]+$|\.(?:local|localhost|test|internal)$')
),

counts AS (
  SELECT h.host AS subject, h.event_date, SUM(h.events) AS count, CAST(NULL AS STRING) AS detail
  FROM {{ relation('mc_hosts') }} AS h
  INNER JOIN foreign_hosts AS f ON f.host = h.host
  WHERE {{ in_period('h.event_date' | identifier) }}
  GROUP BY h.host, h.event_date
),

totals AS (
  SELECT h.event_date, SUM(h.events) AS total
  FROM {{ relation('mc_hosts') }} AS h
  WHERE {{ in_period('h.event_date' | identifier) }}
  GROUP BY h.event_date
),

days AS ({{ on_each_day('counts', 'totals') }})

{{ told('days') }}
ORDER BY subject, event_date
