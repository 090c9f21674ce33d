{# When the events of a day begin and end. #}

{# CTEs up to `spans`: event_date, first_event_at and last_event_at of the relation `events` (event_date, event_at), but
   for the thousandth part of the events at either end: a clock that is wrong must not speak for the day. Counted by
   minutes, since sorting all events would cost. #}
{% macro spans(events) -%}
minutes AS (
  SELECT
    v.event_date,
    DIV(UNIX_MICROS(v.event_at), 60000000) AS minute,
    COUNT(*) AS events,
    MIN(v.event_at) AS first_event_at,
    MAX(v.event_at) AS last_event_at
  FROM {{ events }} AS v
  WHERE v.event_at IS NOT NULL
  GROUP BY v.event_date, minute
),

passed AS (
  SELECT
    m.event_date,
    m.first_event_at,
    m.last_event_at,
    SUM(m.events) OVER (PARTITION BY m.event_date ORDER BY m.minute) AS events_so_far,
    SUM(m.events) OVER (PARTITION BY m.event_date ORDER BY m.minute DESC) AS events_from_here,
    SUM(m.events) OVER (PARTITION BY m.event_date) AS events_of_day
  FROM minutes AS m
),

spans AS (
  SELECT
    p.event_date,
    MIN(IF(p.events_so_far > DIV(p.events_of_day, 1000), p.first_event_at, NULL)) AS first_event_at,
    MAX(IF(p.events_from_here > DIV(p.events_of_day, 1000), p.last_event_at, NULL)) AS last_event_at
  FROM passed AS p
  GROUP BY p.event_date
)
{%- endmacro %}

{# CTEs up to `weeks`: by property and week, between how many minutes before and after UTC a day can begin there, so that
   no event of the week lies outside its own day; `least` and `greatest`, both included. `days` has property, event_date
   and the two of a span. Of five days or more the one that allows least does not count, at either end. #}
{% macro weeks(days) -%}
limits AS (
  SELECT
    d.property,
    DATE_TRUNC(d.event_date, WEEK(MONDAY)) AS week,
    d.event_date,
    CAST(CEIL(
      (UNIX_MICROS(CAST(d.event_date AS TIMESTAMP)) - UNIX_MICROS(d.first_event_at)) / 60000000
    ) AS INT64) AS least,
    CAST(FLOOR(
      (UNIX_MICROS(CAST(d.event_date AS TIMESTAMP)) + 86400000000 - 1 - UNIX_MICROS(d.last_event_at)) / 60000000
    ) AS INT64) AS greatest
  FROM {{ days }} AS d
  WHERE d.event_date IS NOT NULL AND d.first_event_at IS NOT NULL AND d.last_event_at IS NOT NULL
),

ranked_limits AS (
  SELECT
    l.property,
    l.week,
    l.least,
    l.greatest,
    ROW_NUMBER() OVER (PARTITION BY l.property, l.week ORDER BY l.least DESC, l.event_date) AS place_of_least,
    ROW_NUMBER() OVER (PARTITION BY l.property, l.week ORDER BY l.greatest, l.event_date) AS place_of_greatest,
    COUNT(*) OVER (PARTITION BY l.property, l.week) AS days
  FROM limits AS l
),

weeks AS (
  SELECT
    r.property,
    r.week,
    MAX(IF(r.place_of_least = IF(r.days >= 5, 2, 1), r.least, NULL)) AS least,
    MAX(IF(r.place_of_greatest = IF(r.days >= 5, 2, 1), r.greatest, NULL)) AS greatest,
    MAX(r.days) AS days
  FROM ranked_limits AS r
  GROUP BY r.property, r.week
)
{%- endmacro %}

{# A SELECT of facts: `day_offsets`, of `weeks`. The subject is property, Monday, least and greatest, with '|' between. #}
{% macro day_offsets() -%}
SELECT
  'day_offsets' AS fact,
  CONCAT(w.property, '|', CAST(w.week AS STRING), '|', CAST(w.least AS STRING), '|', CAST(w.greatest AS STRING)) AS subject,
  w.days AS occurrences,
  CAST(SUM(w.days) OVER (PARTITION BY w.property) AS INT64) AS of_all,
  CAST(NULL AS FLOAT64) AS amount
FROM weeks AS w
{%- endmacro %}
