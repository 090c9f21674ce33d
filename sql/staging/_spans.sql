{# When the events of a day begin and end. #}

{# CTEs up to `spans`: event_date, first_event_at and last_event_at of the relation `events` (event_date, event_at), but
   for the thousandth part of the events at either end: a clock that is wrong must not speak for the day. Counted by
   minutes, since sorting all events would cost. #}
{% macro spans(events) -%}
minutes AS (
  SELECT
    e.event_date,
    DIV(UNIX_MICROS(e.event_at), 60000000) AS minute,
    COUNT(*) AS events,
    MIN(e.event_at) AS first_event_at,
    MAX(e.event_at) AS last_event_at
  FROM {{ events }} AS e
  WHERE e.event_at IS NOT NULL
  GROUP BY e.event_date, minute
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
