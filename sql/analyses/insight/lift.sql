-- How often a target happens to actors who did something before, and to those who had not: time at risk and targets, by time
-- since the actor began. An actor is at risk from its first session until the target, or until the data end. With an entry,
-- time counts as exposed from `lag_ms` after its first occurrence on; the lag itself, and a target within it, counts on neither
-- side: who clicks "buy" buys. `band` counts from 0 the spans of time since the first session that end at `ends_ms`; the target
-- counts in the band that it ends. `began_before` are actors whose first session in the data was not their first at all.
-- With `landmark_ms`, who did it by then counts as exposed from then on, who had not never does, and nothing before it counts.
-- With `placebos`, what was done at moments picked by chance counts as entries of its own: steps that mean nothing.
-- grain: micro_conversion, context, began_before, band
-- params: entries ARRAY<STRING>, targets ARRAY<STRING>, starts_ms ARRAY<INT64>, ends_ms ARRAY<INT64>, lag_ms INT64,
--   landmark_ms INT64, end_at TIMESTAMP, first_date DATE, last_date DATE, timezone STRING, small_steps ARRAY<STRING>,
--   activity_from ARRAY<INT64>, placebos INT64
-- structure: context, placebos
{# What a first session is told apart by. #}
{% macro context_of(s) -%}
{% if context == 'new_or_returning' -%}
IF(COALESCE({{ s }}.session_number, 1) > 1, 'returning', 'new')
{%- elif context == 'hour' -%}
CONCAT(
        IF(EXTRACT(HOUR FROM {{ s }}.started_at AT TIME ZONE @timezone) < 10, '0', ''),
        CAST(EXTRACT(HOUR FROM {{ s }}.started_at AT TIME ZONE @timezone) AS STRING), ':00'
      )
{%- elif context == 'week' -%}
CAST(DATE_TRUNC({{ s }}.session_date, WEEK(MONDAY)) AS STRING)
{%- elif context == 'strata' -%}
CONCAT(
        COALESCE({{ s }}.device_category, '(not set)'), '\n',
        COALESCE({{ s }}.channel_group, 'Unassigned'), '\n',
        COALESCE(p.country, '(other)')
      )
{%- elif context == 'channel_group' -%}
COALESCE({{ s }}.channel_group, 'Unassigned')
{%- elif context -%}
COALESCE({{ s }}.{{ context | identifier }}, '(not set)')
{%- else -%}
''
{%- endif %}
{%- endmacro %}
WITH numbered_sessions AS (
  SELECT
    s.actor_key, s.session_key, s.session_date, s.session_number, s.started_at, s.device_category, s.channel_group,
    s.country,
    ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) AS place
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at < @end_at
),

first_sessions AS (
  SELECT n.*
  FROM numbered_sessions AS n
  WHERE
    n.place = 1
    AND (@first_date IS NULL OR n.session_date >= @first_date)
    AND (@last_date IS NULL OR n.session_date <= @last_date)
),

{% if context == 'strata' %}
{# Countries of many actors are strata of their own, the others one together. #}
counted_countries AS (
  SELECT n.country, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, n.country) AS place
  FROM first_sessions AS n
  WHERE n.country IS NOT NULL
  GROUP BY n.country
),

large_countries AS (
  SELECT c.country
  FROM counted_countries AS c
  WHERE c.place <= 5
),

{% endif %}
began AS (
  SELECT
    n.actor_key,
    DIV(UNIX_MICROS(n.started_at), 1000) AS began_ms,
    COALESCE(n.session_number, 1) > 1 AS began_before,
    {{ context_of('n' | identifier) }} AS context
  FROM first_sessions AS n
  {% if context == 'strata' %}
  LEFT JOIN large_countries AS p ON p.country = n.country
  {% endif %}
),

reached AS (
  SELECT m.actor_key, MIN(DIV(UNIX_MICROS(m.event_at), 1000)) AS target_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@targets) AND m.event_at < @end_at
  GROUP BY m.actor_key
),

at_risk AS (
  SELECT
    b.actor_key,
    b.began_ms,
    b.began_before,
    b.context,
    GREATEST(COALESCE(r.target_ms, DIV(UNIX_MICROS(@end_at), 1000)) - b.began_ms, 0) AS until_ms,
    r.target_ms IS NOT NULL AS is_reached
  FROM began AS b
  LEFT JOIN reached AS r ON r.actor_key = b.actor_key
),

{% if context == 'strata' %}
{# How much an actor had done by when: a level begins with so many small steps, whichever they were. #}
numbered_steps AS (
  SELECT
    m.actor_key,
    DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms,
    ROW_NUMBER() OVER (
      PARTITION BY m.actor_key ORDER BY m.event_order, m.client_key, m.micro_conversion
    ) AS steps
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@small_steps) AND m.event_at < @end_at
),

level_starts AS (
  SELECT n.actor_key, n.at_ms, level
  FROM numbered_steps AS n
  CROSS JOIN UNNEST(@activity_from) AS steps_from WITH OFFSET AS level
  WHERE n.steps = steps_from
),

active AS (
  SELECT l.actor_key, l.level + 1 AS level, GREATEST(l.at_ms - a.began_ms, 0) AS level_ms
  FROM level_starts AS l
  INNER JOIN at_risk AS a ON a.actor_key = l.actor_key
  UNION ALL
  SELECT a.actor_key, 0 AS level, 0 AS level_ms
  FROM at_risk AS a
),

levels AS (
  SELECT
    v.actor_key,
    v.level,
    v.level_ms,
    COALESCE(
      LEAD(v.level_ms) OVER (PARTITION BY v.actor_key ORDER BY v.level), 9000000000000000
    ) AS next_ms
  FROM active AS v
),

{% endif %}
{# Time at risk, in pieces of one context each. #}
pieces AS (
  {% if context == 'strata' %}
  SELECT
    a.actor_key,
    a.began_before,
    CONCAT(a.context, '\n', CAST(l.level AS STRING)) AS context,
    GREATEST(l.level_ms, COALESCE(@landmark_ms, 0)) AS from_ms,
    LEAST(l.next_ms, a.until_ms) AS until_ms,
    a.is_reached AND a.until_ms <= l.next_ms AS is_reached,
    l.level = 0 AS is_first
  FROM at_risk AS a
  INNER JOIN levels AS l ON l.actor_key = a.actor_key
  WHERE l.level_ms < a.until_ms OR l.level = 0
  {% else %}
  SELECT
    a.actor_key, a.began_before, a.context, COALESCE(@landmark_ms, 0) AS from_ms, a.until_ms, a.is_reached,
    TRUE AS is_first
  FROM at_risk AS a
  {% endif %}
),

done AS (
  SELECT m.micro_conversion, m.actor_key, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entries) AND m.event_at < @end_at
  {% if placebos %}
  UNION ALL
  SELECT
    CONCAT(
      'placebo ',
      CAST(
        MOD(
          DIV(
            MOD(
              MOD(ABS(m.actor_key), 1000003) * 7919 + MOD(DIV(m.event_order, 1000), 1000003) * 104729 + m.event_order,
              1000003
            ),
            7
          ),
          @placebos
        ) AS STRING
      )
    ) AS micro_conversion,
    m.actor_key,
    DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@small_steps) AND m.event_at < @end_at
  {% endif %}
),

firsts AS (
  SELECT d.micro_conversion, d.actor_key, MIN(d.at_ms) AS at_ms
  FROM done AS d
  GROUP BY d.micro_conversion, d.actor_key
),

-- Only what was before the target: what came after it, or at the same moment, can have had no part in it.
did AS (
  SELECT
    f.micro_conversion,
    f.actor_key,
    GREATEST(f.at_ms - a.began_ms, COALESCE(@landmark_ms, 0)) AS did_ms,
    GREATEST(GREATEST(f.at_ms - a.began_ms, 0) + @lag_ms, COALESCE(@landmark_ms, 0)) AS exposed_ms
  FROM firsts AS f
  INNER JOIN at_risk AS a ON a.actor_key = f.actor_key
  WHERE
    f.at_ms - a.began_ms < a.until_ms
    AND (@landmark_ms IS NULL OR f.at_ms - a.began_ms + @lag_ms <= @landmark_ms)
),

bands AS (
  SELECT band, starts_ms, @ends_ms[OFFSET(band)] AS ends_ms
  FROM UNNEST(@starts_ms) AS starts_ms WITH OFFSET AS band
),

everybody AS (
  SELECT
    p.context,
    p.began_before,
    b.band,
    COUNTIF(b.band = 0 AND p.is_first) AS actors,
    SUM(GREATEST(LEAST(p.until_ms, b.ends_ms) - GREATEST(p.from_ms, b.starts_ms), 0)) AS time_ms,
    COUNTIF(p.is_reached AND p.until_ms > p.from_ms AND p.until_ms > b.starts_ms AND p.until_ms <= b.ends_ms) AS targets
  FROM pieces AS p
  CROSS JOIN bands AS b
  WHERE (p.until_ms > b.starts_ms AND p.from_ms < b.ends_ms) OR b.band = 0
  GROUP BY p.context, p.began_before, b.band
),

doers AS (
  SELECT
    d.micro_conversion,
    p.context,
    p.began_before,
    b.band,
    COUNTIF(
      d.did_ms >= b.starts_ms AND d.did_ms < b.ends_ms
      AND (p.is_first OR d.did_ms >= p.from_ms) AND (d.did_ms < p.until_ms)
    ) AS actors,
    SUM(GREATEST(LEAST(p.until_ms, b.ends_ms) - GREATEST(d.exposed_ms, p.from_ms, b.starts_ms), 0)) AS time_ms,
    SUM(
      GREATEST(LEAST(p.until_ms, d.exposed_ms, b.ends_ms) - GREATEST(d.did_ms, p.from_ms, b.starts_ms), 0)
    ) AS lag_ms,
    COUNTIF(
      p.is_reached AND p.until_ms > p.from_ms AND p.until_ms > d.exposed_ms
      AND p.until_ms > b.starts_ms AND p.until_ms <= b.ends_ms
    ) AS targets,
    COUNTIF(
      p.is_reached AND p.until_ms > p.from_ms AND p.until_ms <= d.exposed_ms
      AND p.until_ms > b.starts_ms AND p.until_ms <= b.ends_ms
    ) AS lag_targets
  FROM did AS d
  INNER JOIN pieces AS p ON p.actor_key = d.actor_key
  CROSS JOIN bands AS b
  WHERE p.until_ms > b.starts_ms AND p.until_ms > d.did_ms AND b.ends_ms > d.did_ms AND p.from_ms < b.ends_ms
  GROUP BY d.micro_conversion, p.context, p.began_before, b.band
),

names AS (
  SELECT DISTINCT f.micro_conversion
  FROM firsts AS f
)

SELECT
  n.micro_conversion,
  e.context,
  e.began_before,
  e.band,
  COALESCE(d.actors, 0) AS exposed_actors,
  COALESCE(d.targets, 0) AS exposed_targets,
  COALESCE(d.time_ms, 0) AS exposed_ms,
  e.actors,
  e.targets - COALESCE(d.targets, 0) - COALESCE(d.lag_targets, 0) AS other_targets,
  e.time_ms - COALESCE(d.time_ms, 0) - COALESCE(d.lag_ms, 0) AS other_ms,
  COALESCE(d.lag_targets, 0) AS lag_targets
FROM everybody AS e
CROSS JOIN names AS n
{% if context == 'strata' %}INNER{% else %}LEFT{% endif %} JOIN doers AS d
  ON
    d.micro_conversion = n.micro_conversion
    AND d.context = e.context
    AND d.began_before = e.began_before
    AND d.band = e.band
ORDER BY n.micro_conversion, e.context, e.began_before, e.band
