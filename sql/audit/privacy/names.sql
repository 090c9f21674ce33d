-- Names of people in addresses of pages and parameters (first_name=…): counted and located, never printed.
-- severity: warning
-- finding: {count} of {total} values of {subject} ({share}) {dates} hold what looks like a person's name.
-- remedy: Remove it where the event is made, before it is sent (GA4's data redaction, or the tag manager), and have
--   what GA4 already has deleted (Admin, Data deletion requests). Google's terms forbid it, and the export carries it
--   on into every copy.
-- threshold: min_share FLOAT64 = 0.0 share of the values from which it is told
-- threshold: min_count INT64 = 3 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% import 'audit/_personal.sql' as personal with context %}
{{ personal.values('rows_name') }}
