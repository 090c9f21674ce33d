{# What checks share: the days asked for, and which days of a share stand out. #}

{# Whether a day lies in the period asked for. #}
{% macro in_period(column) -%}
  (@first_date IS NULL OR {{ column }} >= @first_date) AND (@last_date IS NULL OR {{ column }} <= @last_date)
{%- endmacro %}

{# Of the rows of `days` (subject, event_date, count, total, detail) those to tell. Where a subject's usual share (the
   median of its days) reaches @min_share, all its days but those that are clearly better; else days on which the share
   reaches it, at least doubles, and is more than chance makes of the usual one. #}
{% macro standing_out(days) %}
  SELECT u.subject, u.event_date, u.count, u.total, u.detail
  FROM (
    SELECT
      d.subject,
      d.event_date,
      d.count,
      d.total,
      d.detail,
      PERCENTILE_CONT(d.count / d.total, 0.5) OVER (PARTITION BY d.subject) AS usual_share
    FROM {{ days | identifier }} AS d
    WHERE d.total > 0
  ) AS u
  WHERE IF(
    u.usual_share >= @min_share,
    u.count / u.total >= @min_share / 2
    OR u.usual_share * u.total - u.count <= 3 * SQRT(u.usual_share * (1 - u.usual_share) * u.total),
    u.count / u.total >= @min_share
    AND u.count >= @min_count
    AND u.count >= 2 * u.usual_share * u.total
    AND u.count - u.usual_share * u.total >= 4.5 * SQRT(u.usual_share * u.total)
  )
{% endmacro %}
