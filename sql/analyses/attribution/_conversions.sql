{# The conversions of attribution; import `with context`. It reads `count`: 'each', 'actors' or 'sessions'; `resets`:
   whether touches before an earlier conversion no longer count; `grouped`: with the week and a group of actors;
   `touchpoint` as in `_touches.sql`. #}
{% from 'analyses/attribution/_touches.sql' import of_sessions with context %}
{% from 'analyses/_value.sql' import copy_number, value_of with context %}

{# The columns by which figures are split, each followed by a comma. #}
{% macro groups(row) -%}
{% if grouped %}{{ row }}.week, {{ row }}.actor_group, {% endif %}
{%- endmacro %}

{# CTEs `counted`: conversions that count, of all days; `conversions`: those of the days asked for, with the conversion
   before them of the same actor where only touches since then count; `converting_actors`: how many of these an actor
   has. `by_currency`: with what their events say themselves, `amount` and `currency`, and whether that counts. #}
{% macro conversions(by_currency=false) -%}
occurrences AS (
  SELECT
    m.actor_key,
    m.client_key,
    m.session_key,
    m.event_order,
    m.event_date,
    UNIX_MICROS(m.event_at) AS conversion_us,
    {% if by_currency %}
    m.value AS amount,
    m.currency,
    {{ value_of('m' | identifier) }} IS NOT NULL AS is_counted,
    {% endif %}
    COALESCE({{ value_of('m' | identifier) }}, 0) AS value,
    {{ copy_number('m' | identifier) }} AS copy_number
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE m.micro_conversion = @conversion
),

{% if count != 'each' %}
{# Outside a session there is nothing to be the first of. #}
in_units AS (
  SELECT
    o.*,
    ROW_NUMBER() OVER (
      PARTITION BY
        {% if count == 'actors' %}
        o.actor_key
        {% else %}
        o.session_key,
        IF(o.session_key IS NULL, o.client_key, NULL),
        IF(o.session_key IS NULL, o.event_order, NULL)
        {% endif %}
      ORDER BY o.event_order, o.client_key
    ) AS place_in_unit
  FROM occurrences AS o
  WHERE o.copy_number = 1
),

{% endif %}
counted AS (
  SELECT
    {% if resets %}
    LAG(o.conversion_us) OVER (PARTITION BY o.actor_key ORDER BY o.event_order, o.client_key) AS previous_us,
    LAG(o.event_order) OVER (PARTITION BY o.actor_key ORDER BY o.event_order, o.client_key) AS previous_order,
    LAG(o.client_key) OVER (PARTITION BY o.actor_key ORDER BY o.event_order, o.client_key) AS previous_client,
    {% endif %}
    o.actor_key,
    o.client_key,
    o.event_order,
    o.event_date,
    o.conversion_us,
    {% if by_currency %}
    o.amount,
    o.currency,
    o.is_counted,
    {% endif %}
    o.value
  {% if count == 'each' %}
  FROM occurrences AS o
  WHERE o.copy_number = 1
  {% else %}
  FROM in_units AS o
  WHERE o.place_in_unit = 1
  {% endif %}
),

conversions AS (
  SELECT
    {% if grouped %}
    DATE_TRUNC(c.event_date, WEEK(MONDAY)) AS week,
    MOD(c.actor_key, @actor_groups) AS actor_group,
    {% endif %}
    c.*
  FROM counted AS c
  WHERE
    (@first_date IS NULL OR c.event_date >= @first_date)
    AND (@last_date IS NULL OR c.event_date <= @last_date)
),

converting_actors AS (
  SELECT c.actor_key, COUNT(*) AS conversions
  FROM conversions AS c
  GROUP BY c.actor_key
)
{%- endmacro %}

{# Whether a touch comes before a conversion; an event that is both does not. #}
{% macro before(touch, conversion) -%}
  {% set t, c = touch | identifier, conversion | identifier %}
  {% if of_sessions %}
  {{ t }}.touch_us <= {{ c }}.conversion_us
  {%- else %}
  (
      {{ t }}.touch_order < {{ c }}.event_order
      OR {{ t }}.touch_order = {{ c }}.event_order AND {{ t }}.touch_key < {{ c }}.client_key
    )
  {%- endif %}
{%- endmacro %}

{# Whether a touch comes after an event, whose time, order and client are columns of `row`; NULL: it does. #}
{% macro after(touch, row, us, order, client) -%}
  {% set t, r = touch | identifier, row | identifier %}
  {% if of_sessions %}
  ({{ r }}.{{ us | identifier }} IS NULL OR {{ t }}.touch_us > {{ r }}.{{ us | identifier }})
  {%- else %}
  (
      {{ r }}.{{ us | identifier }} IS NULL
      OR {{ t }}.touch_order > {{ r }}.{{ order | identifier }}
      OR {{ t }}.touch_order = {{ r }}.{{ order | identifier }}
        AND {{ t }}.touch_key > {{ r }}.{{ client | identifier }}
    )
  {%- endif %}
{%- endmacro %}
