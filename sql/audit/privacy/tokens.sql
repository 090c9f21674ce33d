-- Secrets in addresses of pages and parameters (passwords, session ids, access tokens): counted and located, never
-- printed.
-- severity: error
-- finding: {count} of {total} values of {subject} ({share}) {dates} hold what looks like a password or an access
--   token.
-- remedy: Keep it out of addresses: whoever reads the export could sign in as somebody else. Have it changed or
--   declared void, removed where the event is made, and deleted in GA4 (Admin, Data deletion requests).
-- threshold: min_share FLOAT64 = 0.0 share of the values from which it is told
-- threshold: min_count INT64 = 1 values from which it is told
-- grain: subject, event_date
-- params: first_date DATE, last_date DATE
-- structure: none
{% import 'audit/_personal.sql' as personal with context %}
{{ personal.values('rows_token') }}
