-- Words of health in addresses of pages and parameters, which may say something about a person: counted and located,
-- never printed.
-- severity: note
-- finding: {count} of {total} values of {subject} ({share}) {dates} hold a word of health.
-- remedy: Judge with whoever is responsible for data protection whether these values tell something about a person.
--   If they do, they are of a special category: send a neutral name in their place.
-- threshold: min_share FLOAT64 = 0.0 share of the values from which it is told
-- threshold: min_count INT64 = 10 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% import 'audit/_personal.sql' as personal with context %}
{{ personal.values('rows_health') }}
