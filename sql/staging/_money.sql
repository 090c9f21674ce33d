{# The currency that a text names: three letters of ISO 4217, in any case, with blanks around; NULL where it names none.
   NAN is what a script writes that knows none, XXX the code for it. #}
{% macro currency_code(text) -%}
  NULLIF(NULLIF(REGEXP_EXTRACT(UPPER(TRIM({{ text }})), r'^[A-Z]{3}$'), 'NAN'), 'XXX')
{%- endmacro %}
