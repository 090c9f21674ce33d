{% from 'staging/_traffic.sql' import said %}
{# How the nested export is read; import `with context`. `leaves` holds the dotted paths that the shards at hand have: a leaf
   they lack is NULL. Every leaf is cast, since files written from all-NULL columns carry wrong physical types. #}

{% macro text(path) -%}
  CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS STRING)
{%- endmacro %}

{% macro integer(path) -%}
  CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS INT64)
{%- endmacro %}

{% macro number(path) -%}
  CAST({% if path in leaves %}e.{{ path | identifier }}{% else %}NULL{% endif %} AS FLOAT64)
{%- endmacro %}

{# One slot of a parameter's value. #}
{% macro slot(name) -%}
  {% if 'event_params.value.' ~ name in leaves %}p.value.{{ name | identifier }}{% else %}NULL{% endif %}
{%- endmacro %}

{# The first parameter with this key: the one shape of query that the DuckDB dialect turns into a list lookup. #}
{% macro first_param(key, value) -%}
  (SELECT {{ value }} FROM UNNEST(e.event_params) AS p WITH OFFSET AS o WHERE p.key = {{ key }} ORDER BY o LIMIT 1)
{%- endmacro %}

{% macro real() -%}
  COALESCE(CAST({{ slot('double_value') }} AS FLOAT64), CAST({{ slot('float_value') }} AS FLOAT64))
{%- endmacro %}

{# A parameter that is always text, such as an address. #}
{% macro param_string(key) -%}
  {{ first_param(key, string_value()) }}
{%- endmacro %}

{% macro string_value() -%}
  CAST({{ slot('string_value') }} AS STRING)
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

{% macro any_text_value() -%}
  COALESCE(
    {{ string_value() }},
    CAST(CAST({{ slot('int_value') }} AS INT64) AS STRING),
    CAST({{ real() }} AS STRING)
  )
{%- endmacro %}

{% macro param_integer(key) -%}
  {{ first_param(key, integer_value()) }}
{%- endmacro %}

{% macro integer_value() -%}
  COALESCE(CAST({{ slot('int_value') }} AS INT64), SAFE_CAST({{ string_value() }} AS INT64))
{%- endmacro %}

{% macro param_number(key) -%}
  {{ first_param(key, number_value()) }}
{%- endmacro %}

{% macro number_value() -%}
  COALESCE(
    {{ real() }},
    CAST(CAST({{ slot('int_value') }} AS INT64) AS FLOAT64),
    SAFE_CAST({{ string_value() }} AS FLOAT64)
  )
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
