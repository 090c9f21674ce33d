{# Whether a value meets a condition. `subject` is an SQL expression; `test`, as `conditions.Operands` makes it, has the
   `operator`, the `number` of its operand among the query parameters (text_<n>, texts_<n>, number_<n>, numbers_<n>), and how the
   subject is read: `is_list` (a text a line, of which any will do), `cast_to` (FLOAT64, STRING or none). #}
{% macro holds(subject, test) -%}
  {% if test.operator == 'exists' %}{{ subject }} IS NOT NULL
  {%- elif test.operator == 'is_absent' %}{{ subject }} IS NULL
  {%- elif test.is_list %}EXISTS(
    SELECT 1 FROM UNNEST(SPLIT({{ subject }}, '\n')) AS one WHERE {{ compares(read('one' | identifier, test), test) }}
  )
  {%- else %}{{ compares(read(subject, test), test) }}
  {%- endif %}
{%- endmacro %}

{% macro read(subject, test) -%}
  {% if test.cast_to == 'FLOAT64' %}SAFE_CAST({{ subject }} AS FLOAT64)
  {%- elif test.cast_to == 'STRING' %}CAST({{ subject }} AS STRING)
  {%- else %}{{ subject }}
  {%- endif %}
{%- endmacro %}

{% macro compares(value, test) -%}
  {% if test.operator == 'equals' %}{{ value }} = {{ parameter('text_', test.number) }}
  {%- elif test.operator == 'any_of' %}{{ value }} IN UNNEST({{ parameter('texts_', test.number) }})
  {%- elif test.operator == 'contains' %}STRPOS({{ value }}, {{ parameter('text_', test.number) }}) > 0
  {%- elif test.operator == 'starts_with' %}STARTS_WITH({{ value }}, {{ parameter('text_', test.number) }})
  {%- elif test.operator == 'matches' %}REGEXP_CONTAINS({{ value }}, {{ parameter('text_', test.number) }})
  {%- elif test.operator == 'at_least' %}{{ value }} >= {{ parameter('number_', test.number) }}
  {%- elif test.operator == 'at_most' %}{{ value }} <= {{ parameter('number_', test.number) }}
  {%- elif test.operator == 'equals_number' %}{{ value }} = {{ parameter('number_', test.number) }}
  {%- elif test.operator == 'any_of_number' %}{{ value }} IN UNNEST({{ parameter('numbers_', test.number) }})
  {%- elif test.operator == 'between' -%}
    {{ value }} BETWEEN {{ parameter('numbers_', test.number) }}[OFFSET(0)] AND {{ parameter('numbers_', test.number) }}[OFFSET(1)]
  {%- endif %}
{%- endmacro %}

{# Whether a row meets the conditions of its number; one without any is met. Each of `conditions` has its `place`, the number,
   and `tests`, which must all hold. #}
{% macro meets(number, row, conditions) -%}
CASE {{ number | identifier }}
      {% for condition in conditions %}
      WHEN {{ condition.place }} THEN
        {% for test in condition.tests %}
        {% set subject %}{{ (row ~ '.' ~ test.column) | identifier }}{% endset %}
        {% if not loop.first %}AND {% endif %}{{ holds(subject, test) }}
        {% endfor %}
      {% endfor %}
      ELSE TRUE
    END
{%- endmacro %}
