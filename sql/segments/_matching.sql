{# The actors that a rule holds for at a moment, as common table expressions up to `matching`. `rule` is the shape of its tree
   and of its leaves, as `segments/compiled.py` makes it; all values are parameters.

   A pair is an entry at a place of a leaf: 0 is counted, -1 undoes what came before it or may not come between steps, 1 to n are
   the steps of a sequence. A leaf holds where its figure lies between its low and its high. Times are ages: how long before
   @as_of. Copies of a transaction are one occurrence, at the earliest, however long ago it was. #}
{% from '_conditions.sql' import meets %}

{% macro tree(node) -%}
  {% if 'leaf' in node %}LOGICAL_OR(h.leaf = {{ node.leaf }})
  {%- elif 'not' in node %}NOT ({{ tree(node['not']) }})
  {%- else %}({% for each in node.of %}{% if not loop.first %}{% if node.op == 'all' %} AND {% else %} OR {% endif %}{% endif %}{{ tree(each) }}{% endfor %})
  {%- endif %}
{%- endmacro %}

{% macro columns_of(rule) -%}
    m.actor_key,
    m.micro_conversion,
    m.client_key,
    m.event_order,
    {% for column in rule.columns %}
    m.{{ column | identifier }},
    {% endfor %}
    UNIX_MICROS(@as_of) - UNIX_MICROS(m.event_at) AS age_us
{%- endmacro %}

{% macro thousandths(number) -%}
IF({{ number }} > 0 AND {{ number }} <= 1e10, CAST(ROUND({{ number }} * 1000) AS INT64), 0)
{%- endmacro %}

{# A value in the project's currency. One in another currency adds nothing, unless GA4 converted it; what the taxonomy
   prices itself is in the project's. #}
{% macro money() -%}
CASE
        WHEN r.currency = @rule_currency OR r.micro_conversion IN UNNEST(@rule_priced_entries) THEN r.value
        WHEN @rule_currency = 'USD' AND r.value_in_usd IS NOT NULL THEN r.value_in_usd
        WHEN r.currency IS NULL AND @rule_assumed_currency = @rule_currency THEN r.value
      END
{%- endmacro %}

{% macro amount(each) -%}
{% set column %}r.{{ each.column | identifier }}{% endset %}
{% set text %}SAFE_CAST({{ column }} AS FLOAT64){% endset %}
{% if each.is_money %}{{ thousandths(money()) }}{% elif each.is_engagement %}COALESCE({{ column }}, 0){% elif each.is_number %}{{ thousandths(column) }}{% else %}{{ thousandths(text) }}{% endif %}
{%- endmacro %}

{% macro matching(rule) %}
{% set before %}PARTITION BY s.leaf, s.actor_key ORDER BY s.event_order RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING{% endset %}
{% if rule.pairs %}
rule_pairs AS (
  SELECT
    entry,
    @pair_leaves[OFFSET(at_place)] AS leaf,
    @pair_places[OFFSET(at_place)] AS place,
    {% if rule.conditions %}
    @pair_conditions[OFFSET(at_place)] AS condition_number,
    {% endif %}
    @pair_within_us[OFFSET(at_place)] AS within_us
  FROM UNNEST(@pair_entries) AS entry WITH OFFSET AS at_place
),

rule_doings AS (
  SELECT
    {{ columns_of(rule) }}
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.actor_key IS NOT NULL
    AND m.transaction_id IS NULL
    AND m.micro_conversion IN UNNEST(@pair_entries)
    AND m.event_at <= @as_of
    AND UNIX_MICROS(@as_of) - UNIX_MICROS(m.event_at) <= @reach_us
  UNION ALL
  SELECT
    {{ columns_of(rule) }}
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.actor_key IS NOT NULL
    AND m.transaction_id IS NOT NULL
    AND m.micro_conversion IN UNNEST(@pair_entries)
    AND m.event_at <= @as_of
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY m.property, m.micro_conversion, m.actor_key, m.transaction_id ORDER BY m.event_order, m.client_key
    ) = 1
),

rule_rows AS (
  SELECT p.leaf, p.place, d.*
  FROM rule_doings AS d
  INNER JOIN rule_pairs AS p ON p.entry = d.micro_conversion
  WHERE
    d.age_us <= p.within_us
    {% if rule.conditions %}
    AND {{ meets('p.condition_number', 'd', rule.conditions) }}
    {% endif %}
),

{% endif %}
{% if rule.undoes %}
undoings AS (
  SELECT r.leaf, r.actor_key, MAX(r.event_order) AS event_order, MIN(r.age_us) AS age_us
  FROM rule_rows AS r
  WHERE r.place = -1
  GROUP BY r.leaf, r.actor_key
),

{% endif %}
{% if rule.measures or rule.gathers %}
counted_rows AS (
  SELECT
    r.*
    {%- if rule.amounts %},
    CASE @leaf_amounts[OFFSET(r.leaf)]
      {% for each in rule.amounts %}
      WHEN {{ each.place }} THEN {{ amount(each) }}
      {% endfor %}
      ELSE 0
    END AS amount
    {%- endif %}

  FROM rule_rows AS r
  {% if rule.undoes %}
  {# What undoes a did also undoes one that it is the same event as. #}
  LEFT JOIN undoings AS u ON u.leaf = r.leaf AND u.actor_key = r.actor_key
  {% endif %}
  WHERE
    r.place = 0
    {% if rule.undoes %}
    AND (u.actor_key IS NULL OR r.event_order > u.event_order AND u.age_us > @leaf_not_within_us[OFFSET(r.leaf)])
    {% endif %}
),

{% if rule.merges %}
{# An event that is several of a leaf's entries counts once, with the largest amount. #}
merged_rows AS (
  SELECT c.*
  FROM counted_rows AS c
  WHERE TRUE
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY c.leaf, c.actor_key, c.client_key, c.event_order
      ORDER BY {% if rule.amounts %}c.amount DESC, {% endif %}c.micro_conversion
    ) = 1
),

{% endif %}
{% endif %}
{% if rule.measures %}
rule_figures AS (
  SELECT
    c.leaf,
    c.actor_key,
    CASE @leaf_measures[OFFSET(c.leaf)]
      {% for measure in rule.measures %}
      {% if measure == 'times' %}
      WHEN 'times' THEN COUNT(*)
      {% elif measure == 'sessions' %}
      WHEN 'sessions' THEN COUNT(DISTINCT c.session_key)
      {% elif measure == 'days' %}
      WHEN 'days' THEN COUNT(DISTINCT c.event_date)
      {% elif measure == 'first' %}
      WHEN 'first' THEN MAX(c.age_us)
      {% elif measure == 'last' %}
      WHEN 'last' THEN MIN(c.age_us)
      {% elif measure == 'total' %}
      WHEN 'total' THEN CAST(SUM(c.amount) AS INT64)
      {% endif %}
      {% endfor %}
    END AS figure
  FROM {% if rule.merges %}merged_rows{% else %}counted_rows{% endif %} AS c
  GROUP BY c.leaf, c.actor_key
),

{% endif %}
{% if rule.gathers %}
gathered_values AS (
  SELECT v.leaf, v.actor_key, COUNT(DISTINCT v.value) AS figure
  FROM (
    {% for each in rule.gathers %}
    {% if each.is_list %}
    SELECT c.leaf, c.actor_key, line AS value
    FROM counted_rows AS c
    CROSS JOIN UNNEST(SPLIT(c.{{ each.column | identifier }}, '\n')) AS line
    {% else %}
    SELECT c.leaf, c.actor_key, CAST(c.{{ each.column | identifier }} AS STRING) AS value
    FROM counted_rows AS c
    {% endif %}
    WHERE @leaf_gathers[OFFSET(c.leaf)] = {{ each.place }}
    {% if not loop.last %}
    UNION ALL
    {% endif %}
    {% endfor %}
  ) AS v
  GROUP BY v.leaf, v.actor_key
),

{% endif %}
{% if rule.steps %}
{# The way to a step that began last is the best one: it is the shortest, and least lies between. #}
rule_steps_1 AS (
  SELECT
    s.leaf,
    s.place,
    s.actor_key,
    s.event_order,
    s.age_us,
    IF(s.place = 1, s.event_order, NULL) AS start_order,
    IF(s.place = 1, s.age_us, NULL) AS start_age_us,
    MAX(IF(s.place = -1, s.event_order, NULL)) OVER ({{ before }}) AS barrier_order
  FROM rule_rows AS s
  WHERE @leaf_steps[OFFSET(s.leaf)] > 0
),

{% for step in range(2, rule.steps + 1) %}
{% set ended %}s.place = {{ step - 1 }} AND s.start_order IS NOT NULL{% endset %}
rule_steps_{{ step }} AS (
  SELECT
    s.leaf,
    s.place,
    s.actor_key,
    s.event_order,
    s.age_us,
    CASE
      WHEN s.place != {{ step }} THEN s.start_order
      WHEN s.before_age_us - s.age_us <= @leaf_gaps_us[OFFSET(s.leaf)] THEN s.before_order
    END AS start_order,
    CASE
      WHEN s.place != {{ step }} THEN s.start_age_us
      WHEN s.before_age_us - s.age_us <= @leaf_gaps_us[OFFSET(s.leaf)] THEN s.before_start_age_us
    END AS start_age_us,
    s.barrier_order
  FROM (
    SELECT
      s.*,
      MAX(IF({{ ended }}, s.start_order, NULL)) OVER ({{ before }}) AS before_order,
      MIN(IF({{ ended }}, s.start_age_us, NULL)) OVER ({{ before }}) AS before_start_age_us,
      MIN(IF({{ ended }}, s.age_us, NULL)) OVER ({{ before }}) AS before_age_us
    FROM rule_steps_{{ step - 1 }} AS s
  ) AS s
),

{% endfor %}
{% endif %}
{% if rule.traits %}
rule_traits AS (
  SELECT
    value,
    @trait_leaves[OFFSET(at_place)] AS leaf,
    @trait_kinds[OFFSET(at_place)] AS kind,
    @trait_touches[OFFSET(at_place)] AS touch
  FROM UNNEST(@trait_values) AS value WITH OFFSET AS at_place
),

touched_sessions AS (
  {% for touch in rule.touches %}
  {% set backwards %}{% if touch == 'last' %} DESC{% endif %}{% endset %}
  SELECT
    {{ constant(touch) }} AS touch,
    {% for trait in rule.traits %}
    s.{{ trait.column | identifier }},
    {% endfor %}
    s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.actor_key IS NOT NULL AND s.started_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at{{ backwards }}, s.session_key{{ backwards }}) = 1
  {% if not loop.last %}
  UNION ALL
  {% endif %}
  {% endfor %}
),

{% endif %}
holding_leaves AS (
  {% if rule.measures %}
  SELECT f.leaf, f.actor_key
  FROM rule_figures AS f
  WHERE f.figure BETWEEN @leaf_lows[OFFSET(f.leaf)] AND @leaf_highs[OFFSET(f.leaf)]
  {% endif %}
  {% if rule.gathers %}
  {% if rule.measures %}
  UNION ALL
  {% endif %}
  SELECT g.leaf, g.actor_key
  FROM gathered_values AS g
  WHERE g.figure BETWEEN @leaf_lows[OFFSET(g.leaf)] AND @leaf_highs[OFFSET(g.leaf)]
  {% endif %}
  {% if rule.steps %}
  {% if rule.measures or rule.gathers %}
  UNION ALL
  {% endif %}
  SELECT s.leaf, s.actor_key
  FROM rule_steps_{{ rule.steps }} AS s
  WHERE
    s.place = @leaf_steps[OFFSET(s.leaf)]
    AND s.start_age_us - s.age_us <= @leaf_windows_us[OFFSET(s.leaf)]
    AND (s.barrier_order IS NULL OR s.barrier_order <= s.start_order)
  {% endif %}
  {% if rule.traits %}
  {% if rule.pairs %}
  UNION ALL
  {% endif %}
  SELECT t.leaf, s.actor_key
  FROM touched_sessions AS s
  INNER JOIN rule_traits AS t ON t.touch = s.touch
  WHERE
    t.value = CASE t.kind
      {% for trait in rule.traits %}
      WHEN {{ constant(trait.name) }} THEN s.{{ trait.column | identifier }}
      {% endfor %}
    END
    {% for trait in rule.traits if trait.name == 'language' %}
    OR t.kind = 'language' AND STARTS_WITH(s.language, CONCAT(t.value, '-'))
    {% endfor %}
  {% endif %}
  {% if rule.visits %}
  {% if rule.pairs or rule.traits %}
  UNION ALL
  {% endif %}
  SELECT leaf, s.actor_key
  FROM {{ relation('mc_sessions') }} AS s
  CROSS JOIN UNNEST(@visit_leaves) AS leaf WITH OFFSET AS at_place
  WHERE
    s.actor_key IS NOT NULL
    AND s.started_at <= @as_of
    AND UNIX_MICROS(@as_of) - UNIX_MICROS(s.ended_at) < @visit_within_us[OFFSET(at_place)]
  {% endif %}
  {% if rule.scores %}
  {% if rule.pairs or rule.traits or rule.visits %}
  UNION ALL
  {% endif %}
  SELECT leaf, p.actor_key
  FROM {{ relation('mc_propensity_scores') }} AS p
  CROSS JOIN UNNEST(@score_leaves) AS leaf WITH OFFSET AS at_place
  WHERE
    p.goal = @score_goals[OFFSET(at_place)]
    AND p.decile BETWEEN @score_lows[OFFSET(at_place)] AND @score_highs[OFFSET(at_place)]
    AND p.scored_at <= @as_of
  {% endif %}
),

matching AS (
  SELECT h.actor_key
  FROM holding_leaves AS h
  GROUP BY h.actor_key
  HAVING {{ tree(rule.tree) }}
)
{% endmacro %}
