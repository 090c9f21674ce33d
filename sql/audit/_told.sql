{# What is told of shares by day. #}

{# Every subject of `counts` (subject, event_date, count, detail) on every day of `totals` (event_date, total): a day on
   which a subject has no row is a day on which nothing was wrong. Its detail is that of its worst day. #}
{% macro on_each_day(counts, totals) %}
  SELECT s.subject, t.event_date, COALESCE(c.count, 0) AS count, t.total, s.detail
  FROM (
    SELECT n.subject, ANY_VALUE(n.detail HAVING MAX n.count) AS detail
    FROM {{ counts | identifier }} AS n
    GROUP BY n.subject
  ) AS s
  CROSS JOIN {{ totals | identifier }} AS t
  LEFT JOIN {{ counts | identifier }} AS c ON c.subject = s.subject AND c.event_date = t.event_date
{% endmacro %}

{# The rows of `days` (subject, event_date, count, total, detail, and the columns `more`) to tell. Days stand out where
   their share reaches @min_share, is twice the subject's usual one (the median of its days) and more than chance makes
   of it. They alone are told, unless all other days together reach @min_share too: then all days from the first fault
   to the last are. #}
{% macro told(days, more=[]) %}
  SELECT
    z.subject,
    z.event_date,
    z.count,
    z.total,
    z.detail
    {%- for column in more %},
    z.{{ column | identifier }}
    {%- endfor %}

  FROM (
    SELECT
      y.*,
      SUM(IF(y.stands_out, 0, y.count)) OVER (PARTITION BY y.subject) AS rest_count,
      SUM(IF(y.stands_out, 0, y.total)) OVER (PARTITION BY y.subject) AS rest_total,
      MIN(IF(y.count > 0, y.event_date, NULL)) OVER (PARTITION BY y.subject) AS first_fault,
      MAX(IF(y.count > 0, y.event_date, NULL)) OVER (PARTITION BY y.subject) AS last_fault
    FROM (
      SELECT
        x.*,
        x.count >= @min_count
        AND x.count >= @min_share * x.total
        AND x.count >= 2 * x.usual_share * x.total
        AND x.count - x.usual_share * x.total >= 4.5 * SQRT(x.usual_share * x.total) AS stands_out
      FROM (
        SELECT d.*, PERCENTILE_CONT(d.count / d.total, 0.5) OVER (PARTITION BY d.subject) AS usual_share
        FROM {{ days | identifier }} AS d
        WHERE d.total > 0
      ) AS x
    ) AS y
  ) AS z
  WHERE IF(
    z.rest_count >= @min_count AND z.rest_count >= @min_share * z.rest_total,
    z.event_date BETWEEN z.first_fault AND z.last_fault,
    z.stands_out
  )
{% endmacro %}
