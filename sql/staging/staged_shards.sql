-- The state of staging: which shard each day came from, and what decided its rows. `columns` are those that mc_shards has:
-- an older microconv may have made it, and a plan writes nothing.
-- grain: property, event_date
-- params: none
-- structure: columns
{% macro newer(name, nothing) -%}
  {% if name in columns %}s.{{ name | identifier }}{% else %}{{ nothing }}{% endif %} AS {{ name | identifier }}
{%- endmacro %}
{% set no_text %}CAST(NULL AS STRING){% endset %}
{% set no_answer %}CAST(NULL AS BOOL){% endset %}
SELECT
  s.property,
  s.event_date,
  s.shard,
  s.kind,
  s.modified_at,
  s.bytes,
  s.schema_fingerprint,
  s.staging_fingerprint,
  {{ newer('carried_columns', no_text) }},
  {{ newer('is_day_over', no_answer) }},
  {{ newer('own_hosts', no_text) }},
  {{ newer('absence_zone', no_text) }},
  {{ newer('events_fingerprint', no_text) }},
  {{ newer('event_columns', no_text) }},
  {{ newer('profile_fingerprint', no_text) }},
  s.events,
  r.taxonomy,
  r.taxonomy_fingerprint
FROM {{ relation('mc_shards') }} AS s
LEFT JOIN {{ relation('mc_runs') }} AS r ON r.run_id = s.run_id
ORDER BY s.property, s.event_date
