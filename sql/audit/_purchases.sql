{# The names of the events that entries of purchases listen to. #}
{% macro purchase_events() -%}
SELECT event_name
      FROM UNNEST(@entry_event_names) AS event_name WITH OFFSET AS place
      WHERE @entry_event_ids[OFFSET(place)] IN UNNEST(@purchase_ids)
{%- endmacro %}
