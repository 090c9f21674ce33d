-- What the parameters of the shards read look like: how often each is there, of which type, how long, how many different
-- values, and of how many rows the value is at GA4's limit, empty, a placeholder, or looks like personal data. One row per
-- day, stream, platform, event and parameter (`user_property.<name>` for properties of the user, '' for the event itself).
-- Parameters are read once and values counted first, so that each pattern is held against each text once.
-- grain: property, event_date, stream_id, platform, event_name, parameter, value_type
-- params: property STRING, numbered ARRAY<STRING>, placeholders ARRAY<STRING>, most_distinct INT64, limit_names ARRAY<STRING>,
--   limit_lengths ARRAY<INT64>, limit_length INT64, large_limit_length INT64, user_limit_length INT64, email STRING,
--   phone STRING, name STRING, token STRING, health_in_address STRING, health_in_text STRING, not_found_title STRING,
--   not_found_address STRING, email_parameter STRING, phone_parameter STRING, name_parameter STRING,
--   token_parameter STRING, typed_parameter STRING, title_parameter STRING, address_parameter STRING,
--   link_parameter STRING, personal_parameter STRING
-- structure: leaves, texts
{% import 'staging/_raw.sql' as raw with context %}
{# What the parameters of an event are counted by, as one text: made before they are read, so that it is made once an event. #}
{% set kinds_of_events %}
(
    SELECT
      e.*,
      CONCAT(
        {{ raw.text('event_date') }}, '|',
        COALESCE({{ raw.text('stream_id') }}, ''), '|',
        COALESCE({{ raw.text('platform') }}, ''), '|',
        {{ raw.text('event_name') }}
      ) AS kind
    FROM {{ relation('raw_events') }} AS e
  )
{%- endset %}
{# The cells of parameters, or of properties of the user, as they are. #}
{% macro cells(of) -%}
  SELECT
    e.kind,
    {% if of == raw.user %}TRUE{% else %}FALSE{% endif %} AS is_of_user,
    CAST(p.key AS STRING) AS key,
    CAST(p.key AS STRING) IN UNNEST(@numbered) AS is_numbered,
    {{ raw.string_value(of) }} AS string_value,
    CAST({{ raw.slot('int_value', of) }} AS INT64) AS int_value,
    {{ raw.real(of) }} AS real_value
  FROM {{ kinds_of_events }} AS e
  CROSS JOIN UNNEST({{ ('e.' ~ of) | identifier }}) AS p
{%- endmacro %}
{% macro group_of(row) -%}
  {{ row }}.kind, {{ row }}.parameter, {{ row }}.type_code
{%- endmacro %}
{% macro same_group(one, other) -%}
{{ one }}.kind = {{ other }}.kind AND {{ one }}.parameter = {{ other }}.parameter AND {{ one }}.type_code = {{ other }}.type_code
{%- endmacro %}
WITH kinds AS (
  SELECT
    e.kind,
    MIN({{ raw.text('event_date') }}) AS event_date,
    MIN(COALESCE({{ raw.text('stream_id') }}, '')) AS stream_id,
    MIN(COALESCE({{ raw.text('platform') }}, '')) AS platform,
    MIN({{ raw.text('event_name') }}) AS event_name,
    COUNT(*) AS event_rows
  FROM {{ kinds_of_events }} AS e
  WHERE e.kind IS NOT NULL
  GROUP BY e.kind
),

cells AS (
{{ cells(raw.event) }}
  {% if 'user_properties.key' in leaves %}
  UNION ALL
{{ cells(raw.user) }}
  {% endif %}
),

-- What is numbered keeps its type, and not its value.
counted AS (
  SELECT
    c.kind,
    c.is_of_user,
    c.key,
    CASE WHEN c.string_value IS NOT NULL THEN 3 WHEN c.int_value IS NOT NULL THEN 2 WHEN c.real_value IS NOT NULL THEN 1 ELSE 0 END AS type_code,
    c.is_numbered,
    IF(c.is_numbered, NULL, c.string_value) AS words,
    IF(c.is_numbered OR c.string_value IS NOT NULL, NULL, c.int_value) AS whole,
    IF(c.is_numbered OR c.string_value IS NOT NULL OR c.int_value IS NOT NULL, NULL, c.real_value) AS real_number,
    COUNT(*) AS found
  FROM cells AS c
  GROUP BY c.kind, c.is_of_user, c.key, type_code, c.is_numbered, words, whole, real_number
),

found AS (
  SELECT
    c.* EXCEPT (is_of_user, key),
    IF(c.is_of_user, CONCAT('user_property.', COALESCE(c.key, '')), COALESCE(c.key, '')) AS parameter
  FROM counted AS c
),

-- What each text is, wherever it stands.
texts AS (
  SELECT
    d.words,
    LENGTH(d.words) AS characters,
    NOT REGEXP_CONTAINS(d.words, r'\S') AS is_empty,
    LOWER(TRIM(d.words)) IN UNNEST(@placeholders) AS is_placeholder,
    (STRPOS(d.words, '@') > 0 OR STRPOS(d.words, '%40') > 0 OR STRPOS(d.words, '%2540') > 0)
    AND REGEXP_CONTAINS(REGEXP_REPLACE(d.words, r'@[1-9](?:\.[0-9])?x\.', '.'), @email) AS has_email,
    REGEXP_CONTAINS(d.words, @phone) AS has_phone,
    REGEXP_CONTAINS(d.words, r'(?:[0-9][^0-9]{0,3}){7}') AS has_digits,
    REGEXP_CONTAINS(d.words, r'\pL') AS has_letters,
    REGEXP_CONTAINS(d.words, @name) AS has_name,
    REGEXP_CONTAINS(d.words, @token) AS has_token,
    REGEXP_CONTAINS(d.words, @health_in_address) AS has_health_address,
    REGEXP_CONTAINS(d.words, @health_in_text) AS has_health_word,
    REGEXP_CONTAINS(d.words, @not_found_title) AS is_not_found_title,
    REGEXP_CONTAINS(d.words, @not_found_address) AS is_not_found_address,
    REGEXP_CONTAINS(d.words, r'^(?i:mailto|tel|callto|sms):') AS is_contact
  FROM (SELECT DISTINCT f.words FROM found AS f WHERE f.words IS NOT NULL) AS d
),

-- What each parameter is by its name.
parameters AS (
  SELECT
    n.parameter,
    REGEXP_CONTAINS(n.parameter, @email_parameter) AS is_email,
    REGEXP_CONTAINS(n.parameter, @phone_parameter) AS is_phone,
    REGEXP_CONTAINS(n.parameter, @name_parameter) AS is_name,
    REGEXP_CONTAINS(n.parameter, @token_parameter) AS is_token,
    REGEXP_CONTAINS(n.parameter, @typed_parameter) AS is_typed,
    REGEXP_CONTAINS(n.parameter, @title_parameter) AS is_title,
    REGEXP_CONTAINS(n.parameter, @address_parameter) AS is_address,
    REGEXP_CONTAINS(n.parameter, @link_parameter) AS is_link,
    REGEXP_CONTAINS(n.parameter, @personal_parameter) AS is_personal,
    CASE
      WHEN STARTS_WITH(n.parameter, 'user_property.') THEN @user_limit_length
      ELSE COALESCE(l.limit_length, @limit_length)
    END AS limit_length,
    IF(STARTS_WITH(n.parameter, 'user_property.') OR l.limit_length IS NOT NULL, NULL, @large_limit_length) AS large_limit_length
  FROM (SELECT DISTINCT f.parameter FROM found AS f) AS n
  LEFT JOIN (
    SELECT limit_name, @limit_lengths[OFFSET(place)] AS limit_length
    FROM UNNEST(@limit_names) AS limit_name WITH OFFSET AS place
  ) AS l ON l.limit_name = n.parameter
),

judged AS (
  SELECT
    {{ group_of('f' | identifier) }},
    f.found,
    f.is_numbered,
    COALESCE(f.words, CAST(f.whole AS STRING), CAST(f.real_number AS STRING)) AS value,
    t.characters,
    IF(t.characters = n.limit_length OR t.characters = n.large_limit_length, f.found, 0) AS rows_at_limit,
    IF(t.is_empty, f.found, 0) AS rows_empty,
    IF(t.is_placeholder, f.found, 0) AS rows_placeholder,
    IF(t.has_email AND NOT (n.is_link AND t.is_contact), f.found, 0) AS rows_email,
    IF(
      (t.has_phone AND NOT (n.is_link AND t.is_contact)) OR (n.is_phone AND t.has_digits)
      OR (n.is_phone AND f.whole >= 1000000), f.found, 0
    ) AS rows_phone,
    IF(t.has_name OR (n.is_name AND t.has_letters AND NOT t.is_placeholder), f.found, 0) AS rows_name,
    IF(t.has_token OR (n.is_token AND NOT t.is_empty AND NOT t.is_placeholder), f.found, 0) AS rows_token,
    IF(t.has_health_address OR (n.is_typed AND t.has_health_word), f.found, 0) AS rows_health,
    IF((n.is_title AND t.is_not_found_title) OR (n.is_address AND t.is_not_found_address), f.found, 0) AS rows_not_found,
    -- Masking is generous: what may be personal is, whether or not it is counted.
    COALESCE(t.has_email OR t.has_phone OR t.has_name OR t.has_token OR t.has_health_address OR t.has_health_word, FALSE)
    OR n.is_email OR n.is_phone OR n.is_name OR n.is_token OR n.is_typed OR n.is_personal AS is_masked
  FROM found AS f
  INNER JOIN parameters AS n ON n.parameter = f.parameter
  LEFT JOIN texts AS t ON t.words = f.words
),

totals AS (
  SELECT
    {{ group_of('j' | identifier) }},
    SUM(j.found) AS event_rows,
    LOGICAL_OR(j.is_numbered) AS is_numbered,
    COUNT(j.value) AS distinct_values,
    MIN(j.characters) AS shortest,
    MAX(j.characters) AS longest,
    SUM(j.rows_at_limit) AS rows_at_limit,
    SUM(j.rows_empty) AS rows_empty,
    SUM(j.rows_placeholder) AS rows_placeholder,
    SUM(IF(j.is_masked, j.found, 0)) AS rows_masked,
    SUM(j.rows_email) AS rows_email,
    SUM(j.rows_phone) AS rows_phone,
    SUM(j.rows_name) AS rows_name,
    SUM(j.rows_token) AS rows_token,
    SUM(j.rows_health) AS rows_health,
    SUM(j.rows_not_found) AS rows_not_found,
    MAX(IF(j.value IS NULL, 0, j.found)) AS most_found
  FROM judged AS j
  GROUP BY {{ group_of('j' | identifier) }}
),

-- The most frequent value; of several the first in the order of text. Where one row in twenty may be personal, it is taken
-- for personal too.
frequent AS (
  SELECT {{ group_of('j' | identifier) }}, MIN(j.value) AS value, MAX(t.rows_masked) * 20 >= MAX(t.event_rows) AS is_masked
  FROM judged AS j
  INNER JOIN totals AS t
    ON {{ same_group('t' | identifier, 'j' | identifier) }} AND t.most_found = j.found
  WHERE j.value IS NOT NULL
  GROUP BY {{ group_of('j' | identifier) }}
),

examples AS (
  SELECT
    {{ group_of('q' | identifier) }},
    SUBSTR(REGEXP_REPLACE(
      IF(j.is_masked OR q.is_masked, REGEXP_REPLACE(REGEXP_REPLACE(q.value, r'[\pL\pM]', 'a'), r'\pN', '0'), q.value),
      r'[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]', ' '
    ), 1, 60) AS example
  FROM frequent AS q
  INNER JOIN judged AS j
    ON {{ same_group('j' | identifier, 'q' | identifier) }} AND j.value = q.value
)

SELECT
  @property AS property,
  PARSE_DATE('%Y%m%d', k.event_date) AS event_date,
  k.stream_id,
  k.platform,
  k.event_name,
  t.parameter,
  CASE t.type_code WHEN 3 THEN 'string' WHEN 2 THEN 'int' WHEN 1 THEN 'float' ELSE 'null' END AS value_type,
  CAST(t.event_rows AS INT64) AS event_rows,
  IF(t.is_numbered, NULL, LEAST(t.distinct_values, @most_distinct)) AS distinct_values,
  t.shortest,
  t.longest,
  {% for name in ['at_limit', 'empty', 'placeholder', 'email', 'phone', 'name', 'token', 'health', 'not_found'] %}
  CAST({{ ('t.rows_' ~ name) | identifier }} AS INT64) AS {{ ('rows_' ~ name) | identifier }},
  {% endfor %}
  x.example
FROM totals AS t
INNER JOIN kinds AS k ON k.kind = t.kind
LEFT JOIN examples AS x
  ON {{ same_group('x' | identifier, 't' | identifier) }}
UNION ALL
SELECT
  @property AS property,
  PARSE_DATE('%Y%m%d', k.event_date) AS event_date,
  k.stream_id,
  k.platform,
  k.event_name,
  '' AS parameter,
  '' AS value_type,
  k.event_rows,
  NULL AS distinct_values,
  NULL AS shortest,
  NULL AS longest,
  {% for name in ['at_limit', 'empty', 'placeholder', 'email', 'phone', 'name', 'token', 'health', 'not_found'] %}
  0 AS {{ ('rows_' ~ name) | identifier }},
  {% endfor %}
  CAST(NULL AS STRING) AS example
FROM kinds AS k
