{# Whether the numbers of staged days may still change; import `with context`. A day is provisional when it came from an
   intraday or fresh shard, and either it was not over when that was staged, or a better shard is to be expected: the property
   has one within a week of the day. A property that exports by streaming only has none, so its days are complete once they are
   over. #}

{% macro days() %}
  SELECT
    h.property,
    h.event_date,
    h.kind != 'daily' AND (
      NOT COALESCE(h.is_day_over, FALSE)
      OR COALESCE(LOGICAL_OR({{ rank('near') }} < {{ rank('h') }}), FALSE)
    ) AS is_provisional
  FROM {{ relation('mc_shards') }} AS h
  LEFT JOIN {{ relation('mc_shards') }} AS near
    ON near.property = h.property
    AND near.event_date BETWEEN DATE_ADD(h.event_date, INTERVAL -7 DAY) AND DATE_ADD(h.event_date, INTERVAL 7 DAY)
  GROUP BY h.property, h.event_date, h.kind, h.is_day_over
{% endmacro %}

{% macro rank(row) -%}
  CASE {{ row | identifier }}.kind WHEN 'daily' THEN 0 WHEN 'fresh' THEN 1 ELSE 2 END
{%- endmacro %}
