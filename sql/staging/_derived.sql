{# What the templates of derived entries share. Import `with context`: `earlier` names the relations of the levels below,
   `properties` the columns that occurrences carry, `looked_at` those that rules look at (place, column, is_number, is_list). #}

{% set kept = [
  'property', 'event_date', 'event_at', 'event_order', 'micro_conversion', 'client_key', 'actor_key', 'session_key', 'value',
  'currency', 'value_in_usd', 'transaction_id', 'page', 'is_provisional'
] + properties %}

{# Occurrences that rules are made of: those of `ingredients` and of the levels below. #}
{% macro occurrences(columns) -%}
(
    {% for source in ['ingredients'] + earlier %}
    SELECT {% for column in columns %}i.{{ column | identifier }}{% if not loop.last %}, {% endif %}{% endfor %}

    FROM {{ relation(source) }} AS i
    {% if not loop.last %}
    UNION ALL
    {% endif %}
    {% endfor %}
  )
{%- endmacro %}

{# Who did it on one level more: without a client nobody could tell two rows apart. #}
{% macro client(row) -%}
COALESCE({{ row }}.client_key, -1)
{%- endmacro %}

{% macro moment(row) -%}
UNIX_MICROS({{ row }}.event_at)
{%- endmacro %}

{# CTE: what each rule makes, by its place. #}
{% macro rules() -%}
rules AS (
  SELECT
    place AS rule,
    rule_id AS micro_conversion,
    @rule_kinds[OFFSET(place)] AS kind,
    @rule_stages[OFFSET(place)] AS stage,
    @rule_value_rules[OFFSET(place)] AS value_rule,
    @rule_fixed_values[OFFSET(place)] AS fixed_value
  FROM UNNEST(@rule_ids) AS rule_id WITH OFFSET AS place
)
{%- endmacro %}

{# The values of a property as an array of texts. `chosen` is its place among `looked_at`; where the rule names none (-1), the
   array holds one empty text; where the occurrence has no value, it is NULL. #}
{% macro values_of(row, chosen) -%}
CASE {{ chosen }}
      WHEN -1 THEN ['']
      {% for each in looked_at %}
      WHEN {{ each.place }} THEN
        {% if each.is_list %}
        SPLIT({{ row }}.{{ each.column | identifier }}, '\n')
        {% else %}
        IF({{ row }}.{{ each.column | identifier }} IS NULL, NULL, [CAST({{ row }}.{{ each.column | identifier }} AS STRING)])
        {% endif %}
      {% endfor %}
    END
{%- endmacro %}

{% macro value_of_rule(row, rule) -%}
CASE {{ rule }}.value_rule WHEN 'event' THEN {{ row }}.value WHEN 'fixed' THEN {{ rule }}.fixed_value END
{%- endmacro %}

{% macro money_of_rule(row, rule, column) -%}
IF({{ rule }}.value_rule = 'event', {{ row }}.{{ column | identifier }}, NULL)
{%- endmacro %}

{# The number that a rule adds up: the property at the place `chosen` among `looked_at`. #}
{% macro number_of(row, chosen) -%}
CASE {{ chosen }}
      WHEN -1 THEN CAST(NULL AS FLOAT64)
      {% for each in looked_at if not each.is_list %}
      WHEN {{ each.place }} THEN
        {% if each.is_number %}
        {{ row }}.{{ each.column | identifier }}
        {% else %}
        SAFE_CAST({{ row }}.{{ each.column | identifier }} AS FLOAT64)
        {% endif %}
      {% endfor %}
    END
{%- endmacro %}
