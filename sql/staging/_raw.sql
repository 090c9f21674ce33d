{% from 'staging/_traffic.sql' import said %}
{# How the nested export is read; import `with context`. `leaves` holds the dotted paths that the shards at hand have: a leaf
   they lack is NULL. Every leaf is cast, since files written from all-NULL columns carry wrong physical types; but for
   `texts`, which are known to be text: DuckDB plans such a cast for as long as it takes to read a small day. #}

{% macro text(path) -%}
  {% if path in texts %}e.{{ path | identifier }}
  {%- else %}CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS STRING)
  {%- endif %}
{%- endmacro %}

{% macro integer(path) -%}
  CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS INT64)
{%- endmacro %}

{% macro number(path) -%}
  CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS FLOAT64)
{%- endmacro %}

{# An id, trimmed; NULL where it is blank or what a broken tag sends in place of one: strangers would become one person. #}
{% macro usable(text) -%}
  CASE
      -- Most ids begin with a digit, and none of the placeholders with one of these.
      WHEN {{ text }} >= '1' AND {{ text }} < ':'
        OR LOWER(TRIM({{ text }})) NOT IN (
          '', '-', '0', '-1', '00000000-0000-0000-0000-000000000000', 'undefined', 'null', '(null)', 'nil', 'none',
          '(none)', 'nan', 'n/a', '(not set)', 'not set', 'unknown', 'anonymous', 'guest', 'true', 'false',
          '[object object]'
        )
      THEN TRIM({{ text }})
    END
{%- endmacro %}

{# Whether something stands where an id should that is not one; an empty text is nothing. #}
{% macro is_placeholder(text) -%}
  ({{ text }} != '' AND {{ usable(text) }} IS NULL)
{%- endmacro %}

{% set event, user = 'event_params', 'user_properties' %}
{# One slot of the value of a parameter, or of a property of the user. #}
{% macro slot(name, of=event) -%}
  {% if of ~ '.value.' ~ name in leaves %}p.value.{{ name | identifier }}{% else %}NULL{% endif %}
{%- endmacro %}

{# The first parameter with this key: the one shape of query that the DuckDB dialect turns into a list lookup. #}
{% macro first_param(key, value, of=event) -%}
  (SELECT {{ value }} FROM UNNEST({{ ('e.' ~ of) | identifier }}) AS p WITH OFFSET AS o WHERE p.key = {{ key }} ORDER BY o LIMIT 1)
{%- endmacro %}

{% macro real(of=event) -%}
  COALESCE(CAST({{ slot('double_value', of) }} AS FLOAT64), CAST({{ slot('float_value', of) }} AS FLOAT64))
{%- endmacro %}

{# A parameter that is always text, such as an address. #}
{% macro param_string(key) -%}
  {{ first_param(key, string_value()) }}
{%- endmacro %}

{% macro string_value(of=event) -%}
  {% if of ~ '.value.string_value' in texts %}{{ slot('string_value', of) }}
  {%- else %}CAST({{ slot('string_value', of) }} AS STRING)
  {%- endif %}
{%- endmacro %}

{# A parameter that GA4 sends as a whole number when it looks like one, such as a campaign called 2024. #}
{% macro param_text(key) -%}
  {{ first_param(key, text_value()) }}
{%- endmacro %}

{% macro text_value() -%}
  COALESCE({{ string_value() }}, CAST(CAST({{ slot('int_value') }} AS INT64) AS STRING))
{%- endmacro %}

{# A parameter as text, whatever type it was sent with: 7 and 7.0 both read '7'. Writing reals costs, so only where needed. #}
{% macro param_any_text(key) -%}
  {{ first_param(key, any_text_value()) }}
{%- endmacro %}

{% macro any_text_value(of=event) -%}
  COALESCE(
    {{ string_value(of) }},
    CAST(CAST({{ slot('int_value', of) }} AS INT64) AS STRING),
    CAST({{ real(of) }} AS STRING)
  )
{%- endmacro %}

{% macro param_integer(key) -%}
  {{ first_param(key, integer_value()) }}
{%- endmacro %}

{% macro integer_value() -%}
  COALESCE(
    CAST({{ slot('int_value') }} AS INT64),
    SAFE_CAST({{ string_value() }} AS INT64),
    {{ whole(real()) }},
    {{ whole(real_in_text()) }}
  )
{%- endmacro %}

{# Some pipelines write whole numbers as reals. Beyond 2^53 a real is not the number that was sent. #}
{% macro whole(number) -%}
  IF({{ number }} = TRUNC({{ number }}) AND ABS({{ number }}) <= 9007199254740992, CAST({{ number }} AS INT64), NULL)
{%- endmacro %}

{% macro real_in_text() -%}
  SAFE_CAST({{ string_value() }} AS FLOAT64)
{%- endmacro %}

{# GA4's session id. Some tags send the text of its cookie: `s1747130400$o5$g1…`, which may follow `GS2.1.`, or
   `GS1.1.1747130400.5.1…` of old. #}
{% macro session_id() -%}
  COALESCE(
      {{ param_integer(constant('ga_session_id')) }}, {{ first_param(constant('ga_session_id'), cookie_session_id()) }}
    )
{%- endmacro %}

{% macro cookie_session_id() -%}
  COALESCE(
    SAFE_CAST(REGEXP_EXTRACT({{ string_value() }}, r'^\s*(?:GS2\.[0-9]+\.)?s([0-9]+)(?:\$|\s*$)') AS INT64),
    SAFE_CAST(REGEXP_EXTRACT({{ string_value() }}, r'^\s*GS1\.[0-9]+\.([0-9]+)(?:\.|\s*$)') AS INT64)
  )
{%- endmacro %}

{# GA4's count of the client's sessions, which the same text holds. #}
{% macro session_number() -%}
  COALESCE(
      {{ param_integer(constant('ga_session_number')) }},
      {{ first_param(constant('ga_session_id'), cookie_session_number()) }}
    )
{%- endmacro %}

{% macro cookie_session_number() -%}
  COALESCE(
    SAFE_CAST(REGEXP_EXTRACT({{ string_value() }}, r'^\s*(?:GS2\.[0-9]+\.)?s[0-9]+\$(?:[^$]*\$)*o([0-9]+)') AS INT64),
    SAFE_CAST(REGEXP_EXTRACT({{ string_value() }}, r'^\s*GS1\.[0-9]+\.[0-9]+\.([0-9]+)') AS INT64)
  )
{%- endmacro %}

{# A batch field of the export; where there is none, as in intraday shards, the parameter of that name. Where there is no
   page id, there is no other: reading what is not there costs. #}
{% macro batch_field(name) -%}
  {% if name == 'batch_page_id' -%}
  COALESCE({{ integer(name) }}, {{ param_integer(constant(name)) }})
  {%- else -%}
  COALESCE({{ integer(name) }}, IF({{ batch_field('batch_page_id') }} IS NULL, NULL, {{ param_integer(constant(name)) }}))
  {%- endif %}
{%- endmacro %}

{# All parameters of an event, in whatever order they came. #}
{% macro all_params() -%}
  TO_JSON_STRING(ARRAY(SELECT TO_JSON_STRING(p) AS param FROM UNNEST(e.event_params) AS p ORDER BY param))
{%- endmacro %}

{# What tells the items of two events apart, in whatever order they came; NULL where the shards have no items. #}
{% macro all_items() -%}
  {% set telling = [
    'items.item_id', 'items.item_name', 'items.item_variant', 'items.quantity', 'items.price', 'items.promotion_id',
    'items.promotion_name'
  ] | select('in', leaves) | list -%}
  {% if telling -%}
  TO_JSON_STRING(ARRAY(
      SELECT TO_JSON_STRING(STRUCT(
        {%- for path in telling %}i.{{ path[6:] | identifier }}{% if not loop.last %}, {% endif %}{% endfor -%}
      )) AS item
      FROM UNNEST(e.items) AS i
      ORDER BY item
    ))
  {%- else %}NULL
  {%- endif %}
{%- endmacro %}

{% macro param_number(key) -%}
  {{ first_param(key, number_value()) }}
{%- endmacro %}

{% macro number_value(of=event) -%}
  COALESCE(
    {{ real(of) }},
    CAST(CAST({{ slot('int_value', of) }} AS INT64) AS FLOAT64),
    SAFE_CAST({{ string_value(of) }} AS FLOAT64)
  )
{%- endmacro %}

{# A property of the user, as a number or as text. #}
{% macro user_property(key, is_number) -%}
  {% if 'user_properties.key' not in leaves %}CAST(NULL AS {% if is_number %}FLOAT64{% else %}STRING{% endif %})
  {%- else %}{{ first_param(key, number_value(user) if is_number else any_text_value(user), user) }}
  {%- endif %}
{%- endmacro %}

{# The parameter `value` as an amount of its currency. What app stores report GA4 sends in millionths, as a whole number (0.01
   is 10000); an app that logs such an event itself sends an amount, which is a real or a smaller number. #}
{% macro amount() -%}
  CASE
      WHEN {{ text('event_name') }} IN (
          'in_app_purchase', 'app_store_refund', 'app_store_subscription_cancel', 'app_store_subscription_convert',
          'app_store_subscription_renew'
        )
        AND {{ first_param(constant('value'), sent_whole()) }} >= 10000
      THEN {{ first_param(constant('value'), sent_whole()) }} / 1e6
      ELSE {{ param_number(constant('value')) }}
    END
{%- endmacro %}

{% macro sent_whole() -%}
  CAST({{ slot('int_value') }} AS INT64)
{%- endmacro %}

{# How many items came with the event; NULL where the shards have no items. One leaf is named, so that BigQuery reads and
   bills no other for it. #}
{% macro item_count() -%}
  {% set found = ['items.price', 'items.item_id', 'items.item_name', 'items.promotion_id'] | select('in', leaves) | list -%}
  {% if found -%}
  CAST(COALESCE((SELECT SUM(IF(i.{{ found[0][6:] | identifier }} IS NULL, 1, 1)) FROM UNNEST(e.items) AS i), 0) AS INT64)
  {%- else %}CAST(NULL AS INT64)
  {%- endif %}
{%- endmacro %}

{# What the event's items cost together: NULL without items, and where one of them has no price. #}
{% macro items_value() -%}
  {% if 'items.price' in leaves -%}
  IF(
      EXISTS(SELECT 1 FROM UNNEST(e.items) AS i WHERE i.price IS NULL), NULL,
      ROUND((SELECT SUM(
        {%- if 'items.quantity' in leaves %}i.price * COALESCE(i.quantity, 1){% else %}i.price{% endif -%}
      ) FROM UNNEST(e.items) AS i), 6)
    )
  {%- else %}CAST(NULL AS FLOAT64)
  {%- endif %}
{%- endmacro %}

{# The texts of one field of the event's items: distinct, sorted, a line each; NULL without any. The one shape of query
   that the DuckDB dialect turns into functions of lists. #}
{% macro item_texts(name) -%}
  {% if 'items.' ~ name in leaves -%}
  NULLIF(ARRAY_TO_STRING(ARRAY(
      SELECT DISTINCT {{ line(item_field(name)) }} AS line FROM UNNEST(e.items) AS i ORDER BY line
    ), '\n'), '')
  {%- else %}NULL
  {%- endif %}
{%- endmacro %}

{% macro item_field(name) -%}
  CAST(i.{{ name | identifier }} AS STRING)
{%- endmacro %}

{# Text that says something, on one line. #}
{% macro line(text) -%}
  {{ said(one_line(text)) }}
{%- endmacro %}

{% macro one_line(text) -%}
  REPLACE({{ text }}, '\n', ' ')
{%- endmacro %}
