-- Entries and events that were recorded far less than their share of the traffic, and than the events that usually go with them, for 1 to 7 days.
-- severity: warning
-- finding: {subject} was recorded {share} less often than expected {dates}: {detail}.
-- remedy: Look for a tag that fires on some pages, browsers or platforms only, or a consent banner that changed. Compare platforms and hosts on these days with those before.
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all subjects, days and lengths together
-- threshold: low FLOAT64 = 0.7 share of what was expected up to which days are low
-- threshold: fewest_expected FLOAT64 = 10 occurrences that must be expected of the days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, counted_events ARRAY<STRING>
-- structure: none
-- judge: low_volume
{% import 'audit/volume/_series.sql' as volume with context %}
{{ volume.series() }}
