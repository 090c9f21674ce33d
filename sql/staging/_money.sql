{# The currency that a text names: three letters of ISO 4217, in any case, with blanks around; NULL where it names none.
   NAN is what a script writes that knows none, XXX the code for it. #}
{% macro currency_code(text) -%}
  NULLIF(NULLIF(UPPER(REGEXP_EXTRACT(TRIM({{ text }}), r'^[A-Za-z]{3}$')), 'NAN'), 'XXX')
{%- endmacro %}
