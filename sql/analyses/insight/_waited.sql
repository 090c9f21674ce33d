{# How long something took, from `waited_us`: whole minutes within the first day, whole hours after it, in seconds. #}
{% macro in_seconds(rows) %}
IF(
  {{ rows }}.waited_us < 86400000000,
  DIV(GREATEST({{ rows }}.waited_us, 0), 60000000) * 60,
  DIV({{ rows }}.waited_us, 3600000000) * 3600
)
{%- endmacro %}
