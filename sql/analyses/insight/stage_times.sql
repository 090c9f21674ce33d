-- How long actors stay at each level of the way to the goal: how many went beyond it after so long (`reached`), and how many had not
-- when the data end, as long after it (`waiting`). Level 0 is the first session, 1 to 3 the stages up to the sale, 4 the goal, 5 what
-- comes after it. Who skips a level is not in it; from the first session only the goal counts. `began_before` are actors whose first
-- session in the data was not their first at all. Times are whole minutes within the first day, whole hours after it, in seconds.
-- grain: level, context, began_before, waited_seconds
-- params: entries ARRAY<STRING>, levels ARRAY<INT64>, first_date DATE, last_date DATE, end_at TIMESTAMP,
--   pair_entries ARRAY<STRING>, pair_leaves ARRAY<INT64>,
--   pair_places ARRAY<INT64>, pair_within_us ARRAY<INT64>, pair_conditions ARRAY<INT64>,
--   reach_us INT64, leaf_measures ARRAY<STRING>, leaf_lows ARRAY<INT64>, leaf_highs ARRAY<INT64>,
--   leaf_not_within_us ARRAY<INT64>, leaf_amounts ARRAY<INT64>, rule_currency STRING,
--   rule_assumed_currency STRING, rule_priced_entries ARRAY<STRING>, leaf_gathers ARRAY<INT64>, leaf_steps ARRAY<INT64>,
--   leaf_gaps_us ARRAY<INT64>, leaf_windows_us ARRAY<INT64>, trait_leaves ARRAY<INT64>, trait_kinds ARRAY<STRING>,
--   trait_touches ARRAY<STRING>, trait_values ARRAY<STRING>, visit_leaves ARRAY<INT64>, visit_within_us ARRAY<INT64>,
--   score_leaves ARRAY<INT64>, score_goals ARRAY<STRING>, score_lows ARRAY<INT64>, score_highs ARRAY<INT64>,
--   text_<n> STRING, texts_<n> ARRAY<STRING>, number_<n> FLOAT64, numbers_<n> ARRAY<FLOAT64>, as_of TIMESTAMP
-- structure: segment, by
{% from 'segments/_matching.sql' import matching with context %}
{% from 'analyses/_sessions.sql' import channel with context %}
{% from 'analyses/insight/_waited.sql' import in_seconds with context %}
WITH
{% if segment %}
{{ matching(segment) }}
,

{% endif %}
first_sessions AS (
  SELECT
    s.actor_key,
    s.started_at,
    s.session_date,
    COALESCE(s.session_number, 1) > 1 AS began_before,
    {% if by == 'channel_group' %}
    {{ channel('s' | identifier) }} AS context
    {% elif by == 'device_category' %}
    COALESCE(s.device_category, '(not set)') AS context
    {% elif by == 'new_or_returning' %}
    IF(COALESCE(s.session_number, 1) > 1, 'returning', 'new') AS context
    {% else %}
    '' AS context
    {% endif %}
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at <= @end_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
),

{% include 'analyses/insight/_ways.sql' %}
,

stays AS (
  SELECT o.actor_key, o.level, DIV(o.at_order, 1000) AS from_us, o.event_date, o.at_order, o.beyond_order
  FROM onward AS o
  UNION ALL
  SELECT
    s.actor_key,
    0 AS level,
    UNIX_MICROS(s.started_at) AS from_us,
    s.session_date AS event_date,
    UNIX_MICROS(s.started_at) * 1000 - 1 AS at_order,
    g.at_order AS beyond_order
  FROM first_sessions AS s
  LEFT JOIN firsts AS g ON g.actor_key = s.actor_key AND g.level = 4
),

waits AS (
  SELECT
    t.level,
    COALESCE(s.context, {% if by == 'nothing' %}''{% else %}'(not set)'{% endif %}) AS context,
    COALESCE(s.began_before, FALSE) AS began_before,
    t.beyond_order IS NOT NULL AS is_reached,
    COALESCE(DIV(t.beyond_order, 1000), UNIX_MICROS(@end_at)) - t.from_us AS waited_us
  FROM stays AS t
  LEFT JOIN first_sessions AS s ON s.actor_key = t.actor_key
  WHERE
    (t.beyond_order IS NULL OR t.beyond_order > t.at_order)
    AND t.level < 5
    AND (@first_date IS NULL OR t.event_date >= @first_date)
    AND (@last_date IS NULL OR t.event_date <= @last_date)
    {% if segment %}
    AND t.actor_key IN (SELECT a.actor_key FROM matching AS a)
    {% endif %}
),

rounded AS (
  SELECT
    w.level,
    w.context,
    w.began_before,
    w.is_reached,
    {{ in_seconds('w' | identifier) }} AS waited_seconds
  FROM waits AS w
)

SELECT
  r.level,
  r.context,
  r.began_before,
  r.waited_seconds,
  COUNTIF(r.is_reached) AS reached,
  COUNTIF(NOT r.is_reached) AS waiting
FROM rounded AS r
GROUP BY r.level, r.context, r.began_before, r.waited_seconds
ORDER BY r.level, r.context, r.began_before, r.waited_seconds
