{# The order of events of one instant: by the batch fields of the export, by the taxonomy's rank, by name, and then so that
   it is the same each time. #}

{# The rank of each event name that the taxonomy names, or has a pattern for; `names` is a SELECT of the names there are. #}
{% macro ranks(names) %}
  {% if has_patterns %}
  SELECT n.event_name, MIN(n.stage_rank) AS stage_rank
  FROM (
    SELECT ranked_event AS event_name, @event_ranks[OFFSET(place)] AS stage_rank
    FROM UNNEST(@ranked_events) AS ranked_event WITH OFFSET AS place
    UNION ALL
    -- A pattern is held against each name once, not against each event.
    SELECT d.event_name, l.stage_rank
    FROM ({{ names }}) AS d
    CROSS JOIN (
      SELECT pattern, @pattern_ranks[OFFSET(place)] AS stage_rank
      FROM UNNEST(@patterns) AS pattern WITH OFFSET AS place
    ) AS l
    WHERE REGEXP_CONTAINS(d.event_name, l.pattern)
  ) AS n
  GROUP BY n.event_name
  {% else %}
  SELECT ranked_event AS event_name, MIN(place) AS stage_rank
  FROM UNNEST(@ranked_events) AS ranked_event WITH OFFSET AS place
  GROUP BY ranked_event
  {% endif %}
{%- endmacro %}

{# One order for all that can differ between equal-named rows of one instant: rows that tie on it are equal in every column
   staged, so which of them comes first cannot show. Batch fields come before it. #}
{% macro instant_order(row) -%}
      {{ row }}.page_location, {{ row }}.page_referrer, {{ row }}.ga_session_id,
      {{ row }}.session_number, {{ row }}.session_engaged, {{ row }}.engagement_msec, {{ row }}.value, {{ row }}.currency,
      {{ row }}.value_in_usd,
      {{ row }}.transaction_id, {{ row }}.user_id, {{ row }}.stream_id, {{ row }}.traffic_rule,
      {{ row }}.traffic_source, {{ row }}.traffic_medium, {{ row }}.traffic_campaign,
      {{ row }}.traffic_channel_group, {{ row }}.click_id, {{ row }}.ignores_referrer, {{ row }}.device_category,
      {{ row }}.country, {{ row }}.language, {{ row }}.platform, {{ row }}.app_version, {{ row }}.item_count,
      {{ row }}.items_value, {{ row }}.is_debug, {{ row }}.traffic_type
      {%- for extra in carried %}, {{ row }}.{{ extra.column | identifier }}{% endfor %}
{%- endmacro %}
