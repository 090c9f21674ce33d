-- Entries and events that were recorded far more than their share of the traffic, and than the events that usually go with them, for 1 to 7 days.
-- severity: warning
-- finding: {subject} was recorded far more often than expected {dates}: {detail}.
-- remedy: Look for a tag that fires twice, a second container, a test or a bot. The check multiple_firing shows repeats within a second.
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all subjects, days and lengths together
-- threshold: high FLOAT64 = 1.4 multiple of what was expected from which days are high
-- threshold: fewest_expected FLOAT64 = 10 occurrences that must be expected of the days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, counted_events ARRAY<STRING>
-- structure: none
-- judge: high_volume
{% import 'audit/volume/_series.sql' as volume with context %}
{{ volume.series() }}
