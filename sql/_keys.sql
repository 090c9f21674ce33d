{# A portable 64-bit key of a text: the first 60 bits of its MD5, so that it is positive and the same on every engine. #}
{% macro key(text) -%}
  CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5({{ text }})), 1, 15)) AS INT64)
{%- endmacro %}
