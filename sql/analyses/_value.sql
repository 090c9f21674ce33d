{# What occurrences are worth, currency by currency; import `with context`. #}

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
