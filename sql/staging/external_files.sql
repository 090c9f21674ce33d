-- What was read of tables of other systems: one row for each file or table. `columns` are those that mc_external_files has.
-- grain: kind, source, file
-- params: none
-- structure: columns
SELECT
  {% for column in columns %}
  f.{{ column | identifier }}{% if not loop.last %},{% endif %}

  {% endfor %}
FROM {{ relation('mc_external_files') }} AS f
ORDER BY f.kind, f.source, f.file
