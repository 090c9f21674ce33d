{# Parts of a web address. `url` is a column or an expression; a NULL address has no parts. #}

{# Path without scheme, host, query and fragment; '/' when it is empty. #}
{% macro path(url) -%}
  IF({{ url }} IS NULL, NULL, COALESCE(NULLIF(
    REGEXP_REPLACE({{ url }}, r'^[^/?#]*//[^/?#]*|[?#](?s:.*)$', ''), ''
  ), '/'))
{%- endmacro %}

{# Host in lower case, without port, `www.` and dots at its end; NULL where the address has none. A pattern that takes all
   it can is matched in half the time of one that takes the least. #}
{% macro host(url) -%}
  REGEXP_EXTRACT(LOWER({{ url }}), r'^[a-z][a-z0-9+.-]*://(?:www\.)?([^/?#:]*[^/?#:.])')
{%- endmacro %}

{# The same of pages of the web: apps and extensions have none. #}
{% macro web_host(url) -%}
  REGEXP_EXTRACT(LOWER({{ url }}), r'^https?://(?:www\.)?([^/?#:]*[^/?#:.])')
{%- endmacro %}

{# A value of the query as it was before it was escaped: '+' and the signs that campaign names hold; rarer escapes stay
   as they are. #}
{% macro unescape(value) -%}
  IF(STRPOS({{ value }}, '%') = 0 AND STRPOS({{ value }}, '+') = 0, {{ value }}, REPLACE(
    REGEXP_REPLACE(REGEXP_REPLACE(REGEXP_REPLACE(REGEXP_REPLACE(REGEXP_REPLACE(REGEXP_REPLACE(
      REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
        {{ value }},
      '+', ' '), '%20', ' '), '%26', '&'), '%28', '('), '%29', ')'),
    r'%2[Bb]', '+'), r'%2[Cc]', ','), r'%2[Ff]', '/'), r'%3[Aa]', ':'), r'%3[Dd]', '='), r'%7[Cc]', '|'),
  '%25', '%'))
{%- endmacro %}
