{# Who is in an experiment: each actor from the first exposure on, with the variant; import `with context`.
   `source` is what exposures are: 'events', or 'external' rows of other systems. `variant_column` names the variant, `tests` are
   conditions on columns of the row. #}
{% from '_conditions.sql' import holds %}
{% from '_keys.sql' import key %}
{% set user %}CONCAT('u|', e.property, '|', e.user_id){% endset %}
{% macro variant(row) -%}
{{ (row ~ '.' ~ variant_column) | identifier }}
{%- endmacro %}
{% macro conditions() -%}
{{ variant('e') }} IS NOT NULL
      AND e.event_at <= @end_at
      AND (@first_date IS NULL OR e.event_date >= @first_date)
      AND (@last_date IS NULL OR e.event_date <= @last_date)
    {% for test in tests %}
      AND {{ holds(('e.' ~ test.column) | identifier, test) }}
    {% endfor %}
{%- endmacro %}

{% macro exposures() %}
{% if source == 'external' %}
clients_of_users AS (
  SELECT s.client_key, MIN(s.actor_key) AS actor_key
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.user_id IS NOT NULL
  GROUP BY s.client_key
  HAVING COUNT(DISTINCT s.user_id) = 1
),

first_sessions AS (
  SELECT s.actor_key, s.device_category, s.country
  FROM {{ relation('mc_sessions') }} AS s
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY s.actor_key ORDER BY s.started_at, s.session_key) = 1
),

seen AS (
  SELECT
    COALESCE(e.user_key, c.actor_key, e.client_key) AS actor_key,
    e.event_at,
    e.event_date,
    UNIX_MICROS(e.event_at) * 1000 AS event_order,
    COALESCE(e.client_key, e.user_key) AS client_key,
    f.device_category,
    f.country,
    {{ variant('e') }} AS variant
  FROM {{ relation('mc_external_events') }} AS e
  INNER JOIN {{ relation('mc_external_files') }} AS r ON r.reading = e.reading AND r.kind = 'events'
  LEFT JOIN clients_of_users AS c ON c.client_key = e.client_key
  LEFT JOIN first_sessions AS f ON f.actor_key = COALESCE(e.user_key, c.actor_key, e.client_key)
  WHERE e.name = @event AND {{ conditions() }}
),
{% else %}
seen AS (
  SELECT
    COALESCE({{ key(user) }}, s.actor_key, e.client_key) AS actor_key,
    e.event_at,
    e.event_date,
    e.event_order,
    e.client_key,
    e.device_category,
    e.country,
    {{ variant('e') }} AS variant
  FROM {{ relation('mc_events') }} AS e
  LEFT JOIN {{ relation('mc_sessions') }} AS s ON s.session_key = e.session_key
  WHERE e.client_key IS NOT NULL AND (@event IS NULL OR e.event_name = @event) AND {{ conditions() }}
),
{% endif %}

numbered_exposures AS (
  SELECT
    s.*,
    ROW_NUMBER() OVER (
      PARTITION BY s.actor_key ORDER BY s.event_at, s.event_order, s.client_key, s.variant
    ) AS place
  FROM seen AS s
),

everybody AS (
  SELECT
    n.actor_key,
    MIN(n.event_at) AS exposed_at,
    MIN(n.event_date) AS exposed_date,
    MAX(IF(n.place = 1, n.device_category, NULL)) AS device_category,
    MAX(IF(n.place = 1, n.country, NULL)) AS country,
    MIN(n.variant) AS variant,
    COUNT(DISTINCT n.variant) AS variants
  FROM numbered_exposures AS n
  GROUP BY n.actor_key
),

exposed AS (
  SELECT
    a.actor_key, a.variant, a.exposed_at, UNIX_MICROS(a.exposed_at) AS exposed_us, a.exposed_date, a.device_category, a.country
  FROM everybody AS a
  WHERE a.variants = 1 AND a.variant IN UNNEST(@variants)
)
{%- endmacro %}
