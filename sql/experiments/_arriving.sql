{# When each actor would come into an experiment of the days from `@first_date` to `@last_date`; include after WITH. #}
arriving AS (
  {% if has_exposure %}
  SELECT m.actor_key, MIN(m.event_at) AS arrived_at, MIN(m.event_date) AS arrived_date
  FROM {{ relation('mc_micro_conversions') }} AS m
  WHERE
    m.micro_conversion = @exposure
    AND m.actor_key IS NOT NULL
    AND m.event_date BETWEEN @first_date AND @last_date
    AND m.event_at <= @end_at
  GROUP BY m.actor_key
  {% else %}
  SELECT s.actor_key, MIN(s.started_at) AS arrived_at, MIN(s.session_date) AS arrived_date
  FROM {{ relation('mc_sessions') }} AS s
  WHERE s.session_date BETWEEN @first_date AND @last_date AND s.started_at <= @end_at
  GROUP BY s.actor_key
  {% endif %}
)
