-- How often a target happens to actors who did something before, and to those who had not: time at risk and targets, by time
-- since the actor began. An actor is at risk from its first session until the target, or until the data end. With an entry,
-- time counts as exposed from `lag_ms` after its first occurrence on; the lag itself, and a target within it, counts on neither
-- side: who clicks "buy" buys. `band` counts from 0 the spans of time since the first session that end at `ends_ms`; the target
-- counts in the band that it ends. `began_before` are actors whose first session in the data was not their first at all.
-- With `landmark_ms`, who did it by then counts as exposed from then on, who had not never does, and nothing before it counts.
-- With `alike`, `stratum` tells like actors apart: device, channel and country (the five largest, and the rest) of the first
-- session, how many small steps they had done by then, and how long ago they had last shown themselves, by a small step or by
-- beginning a session. Recency is 0 up to the first of `recent_ms` after an act, 1 up to the second, and so on. Strata in which
-- nobody came to the target, or nobody had done the entry, are left out: they tell nothing of a ratio.
-- With `placebos`, what was done at moments picked by chance counts as entries of its own: steps that mean nothing.
-- grain: micro_conversion, context, stratum, began_before, band
-- params: entries ARRAY<STRING>, targets ARRAY<STRING>, starts_ms ARRAY<INT64>, ends_ms ARRAY<INT64>, lag_ms INT64,
--   landmark_ms INT64, end_at TIMESTAMP, first_date DATE, last_date DATE, timezone STRING, small_steps ARRAY<STRING>,
--   activity_from ARRAY<INT64>, recent_ms ARRAY<INT64>, placebos INT64
-- structure: context, alike, placebos
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
{%- elif context == 'channel_group' -%}
COALESCE({{ s }}.channel_group, 'Unassigned')
{%- elif context -%}
COALESCE({{ s }}.{{ context | identifier }}, '(not set)')
{%- else -%}
''
{%- endif %}
{%- endmacro %}
{% from 'analyses/insight/_at_risk.sql' import first_sessions, counted_countries, reached with context %}
WITH {{ first_sessions() }},

{% if alike %}
{{ counted_countries() }},

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
    {{ context_of('n' | identifier) }} AS context,
    {% if alike %}
    CONCAT(
      COALESCE(n.device_category, '(not set)'), '\n',
      COALESCE(n.channel_group, 'Unassigned'), '\n',
      COALESCE(p.country, '(other)')
    ) AS stratum
    {% else %}
    '' AS stratum
    {% endif %}
  FROM first_sessions AS n
  {% if alike %}
  LEFT JOIN large_countries AS p ON p.country = n.country
  {% endif %}
),

{{ reached() }},

at_risk AS (
  SELECT
    b.actor_key,
    b.began_ms,
    b.began_before,
    b.context,
    b.stratum,
    GREATEST(COALESCE(r.target_ms, DIV(UNIX_MICROS(@end_at), 1000)) - b.began_ms, 0) AS until_ms,
    r.target_ms IS NOT NULL AS is_reached
  FROM began AS b
  LEFT JOIN reached AS r ON r.actor_key = b.actor_key
),

{% if alike %}
{# When an actor showed itself, and how much it had done by then: small steps, whichever they were, and coming back. #}
acts AS (
  SELECT
    m.actor_key, DIV(UNIX_MICROS(m.event_at), 1000) AS at_ms, 1 AS steps, m.event_order AS act_order, m.client_key,
    m.micro_conversion
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@small_steps) AND m.event_at < @end_at
  UNION ALL
  SELECT
    n.actor_key, DIV(UNIX_MICROS(n.started_at), 1000) AS at_ms, 0 AS steps, n.place AS act_order, 0 AS client_key,
    '' AS micro_conversion
  FROM numbered_sessions AS n
),

numbered_acts AS (
  SELECT
    c.actor_key,
    GREATEST(c.at_ms - a.began_ms, 0) AS at_ms,
    SUM(c.steps) OVER (
      PARTITION BY c.actor_key ORDER BY c.at_ms, c.steps, c.act_order, c.client_key, c.micro_conversion
    ) AS steps,
    ROW_NUMBER() OVER (
      PARTITION BY c.actor_key ORDER BY c.at_ms, c.steps, c.act_order, c.client_key, c.micro_conversion
    ) AS place
  FROM acts AS c
  INNER JOIN at_risk AS a ON a.actor_key = c.actor_key
  WHERE c.at_ms - a.began_ms < a.until_ms OR (c.steps = 0 AND c.act_order = 1)
),

levelled_acts AS (
  SELECT
    n.actor_key,
    n.at_ms,
    n.place,
    (SELECT COUNT(*) FROM UNNEST(@activity_from) AS steps_from WHERE steps_from <= n.steps) AS level
  FROM numbered_acts AS n
),

{# Acts that follow each other before the first class of recency ends, at one level of activity, are one stay. #}
marked_acts AS (
  SELECT
    v.*,
    IF(
      v.at_ms - LAG(v.at_ms) OVER (PARTITION BY v.actor_key ORDER BY v.place) < @recent_ms[OFFSET(0)]
      AND v.level = LAG(v.level) OVER (PARTITION BY v.actor_key ORDER BY v.place),
      0,
      1
    ) AS begins
  FROM levelled_acts AS v
),

placed_acts AS (
  SELECT m.*, SUM(m.begins) OVER (PARTITION BY m.actor_key ORDER BY m.place) AS stay
  FROM marked_acts AS m
),

stays AS (
  SELECT p.actor_key, p.stay, p.level, MIN(p.at_ms) AS from_ms, MAX(p.at_ms) AS last_ms
  FROM placed_acts AS p
  GROUP BY p.actor_key, p.stay, p.level
),

ended_stays AS (
  SELECT
    s.*,
    COALESCE(LEAD(s.from_ms) OVER (PARTITION BY s.actor_key ORDER BY s.stay), 9000000000000000) AS next_ms
  FROM stays AS s
),

{# After its latest act, an actor passes from one class of recency to the next until it shows itself again. #}
recencies AS (
  SELECT
    s.actor_key,
    s.level,
    recency,
    IF(recency = 0, s.from_ms, s.last_ms + @recent_ms[OFFSET(recency - IF(recency = 0, 0, 1))]) AS from_ms,
    LEAST(s.last_ms + recent_ms, s.next_ms) AS until_ms,
    s.stay = 1 AND recency = 0 AS is_first
  FROM ended_stays AS s
  CROSS JOIN UNNEST(@recent_ms) AS recent_ms WITH OFFSET AS recency
  WHERE recency = 0 OR s.last_ms + @recent_ms[OFFSET(recency - IF(recency = 0, 0, 1))] < s.next_ms
),

{% endif %}
{# Time at risk, in pieces of one stratum each. #}
pieces AS (
  {% if alike %}
  SELECT
    a.actor_key,
    a.began_before,
    a.context,
    CONCAT(a.stratum, '\n', CAST(c.level AS STRING), '\n', CAST(c.recency AS STRING)) AS stratum,
    GREATEST(c.from_ms, COALESCE(@landmark_ms, 0)) AS from_ms,
    LEAST(c.until_ms, a.until_ms) AS until_ms,
    a.is_reached AND a.until_ms <= c.until_ms AS is_reached,
    c.is_first
  FROM at_risk AS a
  INNER JOIN recencies AS c ON c.actor_key = a.actor_key
  WHERE c.from_ms < a.until_ms OR c.is_first
  {% else %}
  SELECT
    a.actor_key, a.began_before, a.context, a.stratum, COALESCE(@landmark_ms, 0) AS from_ms, a.until_ms, a.is_reached,
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
    p.stratum,
    p.began_before,
    b.band,
    COUNTIF(b.band = 0 AND p.is_first) AS actors,
    SUM(GREATEST(LEAST(p.until_ms, b.ends_ms) - GREATEST(p.from_ms, b.starts_ms), 0)) AS time_ms,
    COUNTIF(p.is_reached AND p.until_ms > p.from_ms AND p.until_ms > b.starts_ms AND p.until_ms <= b.ends_ms) AS targets
  FROM pieces AS p
  CROSS JOIN bands AS b
  WHERE (p.until_ms > b.starts_ms AND p.from_ms < b.ends_ms) OR b.band = 0
  GROUP BY p.context, p.stratum, p.began_before, b.band
),

doers AS (
  SELECT
    d.micro_conversion,
    p.context,
    p.stratum,
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
  GROUP BY d.micro_conversion, p.context, p.stratum, p.began_before, b.band
),

names AS (
  SELECT DISTINCT f.micro_conversion
  FROM firsts AS f
)

SELECT
  n.micro_conversion,
  e.context,
  e.stratum,
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
{% if alike %}INNER{% else %}LEFT{% endif %} JOIN doers AS d
  ON
    d.micro_conversion = n.micro_conversion
    AND d.context = e.context
    AND d.stratum = e.stratum
    AND d.began_before = e.began_before
    AND d.band = e.band
{% if alike %}
WHERE e.targets > 0 -- without one, a stratum tells nothing of a ratio
{% endif %}
ORDER BY n.micro_conversion, e.context, e.stratum, e.began_before, e.band
