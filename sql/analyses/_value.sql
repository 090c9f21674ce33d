{# What occurrences are worth, currency by currency, and which of them are one; import `with context`. #}

{# The value of an occurrence in `@currency`, the project's; NULL where it is in another one, which nobody can add. Where
   `@currency` is NULL, the goal has a value of its own, which is in the project's. A value that names no currency is in
   `@assumed_currency`, if that says one; GA4's own conversion comes first. #}
{% macro value_of(row) -%}
CASE
      WHEN @currency IS NULL OR {{ row }}.currency = @currency THEN {{ row }}.value
      WHEN @currency = 'USD' AND {{ row }}.value_in_usd IS NOT NULL THEN {{ row }}.value_in_usd
      WHEN {{ row }}.currency IS NULL AND @assumed_currency = @currency THEN {{ row }}.value
    END
{%- endmacro %}

{# Which copy of a conversion a row is: of those of one actor with one transaction id in a property, the earliest is the first;
   with `of_entries`, of each entry by itself. #}
{% macro copy_number(row, of_entries=false) -%}
ROW_NUMBER() OVER (
      PARTITION BY
        {% if of_entries %}
        {{ row }}.micro_conversion,
        {% endif %}
        {{ row }}.property,
        {{ row }}.transaction_id,
        {{ row }}.actor_key,
        IF({{ row }}.transaction_id IS NULL, {{ row }}.client_key, NULL),
        IF({{ row }}.transaction_id IS NULL, {{ row }}.event_order, NULL)
      ORDER BY {{ row }}.event_order, {{ row }}.client_key
    )
{%- endmacro %}
