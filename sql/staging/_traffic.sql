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

{# The category of a source, in lower case, needs these joins: one listed by its name; by its domain, with all that lies
   below it (`*.blogspot.com`); else a search engine, whatever the country and service of its domain. #}
{% macro category_joins(source) %}
  LEFT JOIN source_categories AS c ON c.source = {{ source }}
  LEFT JOIN source_categories AS w ON w.source = CONCAT('*.', REGEXP_EXTRACT({{ source }}, r'\.([^.]+\.[^.]+\.[^.]+)$'))
  LEFT JOIN source_categories AS v ON v.source = CONCAT('*.', REGEXP_EXTRACT({{ source }}, r'\.([^.]+\.[^.]+)$'))
  LEFT JOIN engines AS n
    ON n.engine = IF(
      REGEXP_CONTAINS({{ source }}, @engine_services), NULL,
      REGEXP_EXTRACT({{ source }}, r'^(?:[a-z0-9-]+\.)*?([a-z0-9-]+)\.(?:(?:co|com|ne|net|or|org)\.)?[a-z]+$')
    )
{%- endmacro %}

{% macro category_of() -%}
  COALESCE(c.category, w.category, v.category, IF(n.engine IS NULL, NULL, 'search'))
{%- endmacro %}
