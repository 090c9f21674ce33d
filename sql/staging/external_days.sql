-- What the occurrences of other systems' events come to on each day: two sums of a key of each row, which differ where any
-- column of any row does. They are held against those of the rows that are staged.
-- grain: property, event_date
-- params: none
-- structure: properties
{% from '_keys.sql' import key %}
{% macro text(column) -%}
COALESCE(CAST({{ column }} AS STRING), '')
{%- endmacro %}
{% set whole_row %}CONCAT(
      CAST(o.event_order AS STRING), '|', o.micro_conversion, '|', o.kind, '|', o.stage, '|',
      CAST(o.client_key AS STRING), '|', CAST(o.actor_key AS STRING), '|',
      {{ text('o.value' | identifier) }}, '|',
      {{ text('o.currency' | identifier) }}, '|',
      {{ text('o.transaction_id' | identifier) }}, '|', o.external_source
      {%- for property_column in properties %}, '|',
      {{ text(('o.' ~ property_column) | identifier) }}{% endfor %}

    )
{%- endset %}
WITH keyed_rows AS (
  SELECT
    o.property,
    o.event_date,
    {{ key(whole_row) }} AS row_key
  FROM {{ relation('external_occurrences') }} AS o
)

SELECT
  k.property,
  k.event_date,
  COUNT(*) AS occurrences,
  CAST(SUM(MOD(k.row_key, 1073741824)) AS INT64) AS low_sum,
  CAST(SUM(DIV(k.row_key, 1073741824)) AS INT64) AS high_sum
FROM keyed_rows AS k
GROUP BY k.property, k.event_date
ORDER BY k.event_date
