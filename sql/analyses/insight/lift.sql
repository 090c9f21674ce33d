-- How often a target happens to actors who did something before, and to those who had not: time at risk and targets, by time
-- since the actor began. An actor is at risk from its first session until the target, or until the data end. With an entry,
-- time counts as exposed from `lag_ms` after its first occurrence on; the lag itself, and a target within it, counts on neither
-- side: who clicks "buy" buys. `band` counts from 0 the spans of time since the first session that end at `ends_ms`; the target
-- counts in the band that it ends. `began_before` are actors whose first session in the data was not their first at all.
-- grain: micro_conversion, {context}, began_before, band
-- params: entries ARRAY<STRING>, targets ARRAY<STRING>, starts_ms ARRAY<INT64>, ends_ms ARRAY<INT64>, lag_ms INT64,
--   end_at TIMESTAMP, first_date DATE, last_date DATE
-- structure: context
WITH first_sessions AS (
  SELECT
    s.actor_key,
    DIV(UNIX_MICROS(s.started_at), 1000) AS began_ms,
    COALESCE(s.session_number, 1) > 1 AS began_before,
    {% if context %}
    COALESCE(CAST(s.{{ context | identifier }} AS STRING), '(not set)') AS context,
    {% endif %}
    s.session_date,
    ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) AS place
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at < @end_at
),

began AS (
  SELECT f.*
  FROM first_sessions AS f
  WHERE
    f.place = 1
    AND (@first_date IS NULL OR f.session_date >= @first_date)
    AND (@last_date IS NULL OR f.session_date <= @last_date)
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
    {% if context %}
    b.context,
    {% endif %}
    GREATEST(COALESCE(r.target_ms, DIV(UNIX_MICROS(@end_at), 1000)) - b.began_ms, 0) AS until_ms,
    r.target_ms IS NOT NULL AS is_reached
  FROM began AS b
  LEFT JOIN reached AS r ON r.actor_key = b.actor_key
),

firsts AS (
  SELECT m.micro_conversion, m.actor_key, MIN(DIV(UNIX_MICROS(m.event_at), 1000)) AS at_ms
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion IN UNNEST(@entries) AND m.event_at < @end_at
  GROUP BY m.micro_conversion, m.actor_key
),

-- Only what was before the target: what came after it, or at the same moment, can have had no part in it.
did AS (
  SELECT
    f.micro_conversion,
    a.began_before,
    {% if context %}
    a.context,
    {% endif %}
    a.until_ms,
    a.is_reached,
    GREATEST(f.at_ms - a.began_ms, 0) AS from_ms,
    GREATEST(f.at_ms - a.began_ms, 0) + @lag_ms AS exposed_ms
  FROM firsts AS f
  INNER JOIN at_risk AS a ON a.actor_key = f.actor_key
  WHERE f.at_ms - a.began_ms < a.until_ms
),

bands AS (
  SELECT band, starts_ms, @ends_ms[OFFSET(band)] AS ends_ms
  FROM UNNEST(@starts_ms) AS starts_ms WITH OFFSET AS band
),

everybody AS (
  SELECT
    {% if context %}
    a.context,
    {% endif %}
    a.began_before,
    b.band,
    COUNTIF(b.band = 0) AS actors,
    SUM(LEAST(a.until_ms, b.ends_ms) - b.starts_ms) AS time_ms,
    COUNTIF(a.is_reached AND a.until_ms <= b.ends_ms) AS targets
  FROM at_risk AS a
  INNER JOIN bands AS b ON a.until_ms > b.starts_ms OR b.band = 0
  GROUP BY {% if context %}a.context, {% endif %}a.began_before, b.band
),

doers AS (
  SELECT
    d.micro_conversion,
    {% if context %}
    d.context,
    {% endif %}
    d.began_before,
    b.band,
    COUNTIF(d.from_ms >= b.starts_ms AND d.from_ms < b.ends_ms) AS actors,
    SUM(GREATEST(LEAST(d.until_ms, b.ends_ms) - GREATEST(d.exposed_ms, b.starts_ms), 0)) AS time_ms,
    SUM(GREATEST(LEAST(d.until_ms, d.exposed_ms, b.ends_ms) - GREATEST(d.from_ms, b.starts_ms), 0)) AS lag_ms,
    COUNTIF(d.is_reached AND d.until_ms > d.exposed_ms AND d.until_ms > b.starts_ms AND d.until_ms <= b.ends_ms) AS targets,
    COUNTIF(
      d.is_reached AND d.until_ms <= d.exposed_ms AND d.until_ms > b.starts_ms AND d.until_ms <= b.ends_ms
    ) AS lag_targets
  FROM did AS d
  INNER JOIN bands AS b ON d.until_ms > b.starts_ms AND d.from_ms < b.ends_ms
  GROUP BY d.micro_conversion, {% if context %}d.context, {% endif %}d.began_before, b.band
)

SELECT
  entry AS micro_conversion,
  {% if context %}
  e.context,
  {% endif %}
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
CROSS JOIN UNNEST(@entries) AS entry
LEFT JOIN doers AS d
  ON
    d.micro_conversion = entry
    AND d.began_before = e.began_before
    AND d.band = e.band
    {% if context %}
    AND d.context = e.context
    {% endif %}
ORDER BY entry, {% if context %}e.context, {% endif %}e.began_before, e.band
