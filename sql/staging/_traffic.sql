{# Where a session came from. #}

{# Text that says something: neither empty nor GA4's word for nothing. #}
{% macro said(text) -%}
  NULLIF(NULLIF({{ text }}, ''), '(not set)')
{%- endmacro %}

{# True where source and medium, as `said`, name something other than a direct visit. #}
{% macro leads_here(source, medium) -%}
  (COALESCE({{ source }}, '(direct)') != '(direct)' OR COALESCE({{ medium }}, '(none)') != '(none)')
{%- endmacro %}

{# Name of the first channel group that fits `row`, whose source, medium, campaign and category are lower case and never
   NULL. #}
{% macro channel_group(groups, row) -%}
CASE
    {% for group in groups %}
    WHEN
      {%- for alternative in group.alternatives %}
{% if not loop.first %}

      OR{% endif %} (
        {%- for test in alternative %}
{% if not loop.first %} AND {% endif %}
{% if test.pattern is none -%}
{{ row }}.{{ test.field | identifier }} IN UNNEST({{ parameter('channel_values_', test.number) }})
{%- else -%}
REGEXP_CONTAINS({{ row }}.{{ test.field | identifier }}, {{ parameter('channel_pattern_', test.pattern) }})
{%- endif %}
        {%- endfor %}
)
      {%- endfor %}

      THEN {{ parameter('channel_name_', group.number) }}
    {% endfor %}
    ELSE @channel_fallback
  END
{%- endmacro %}
