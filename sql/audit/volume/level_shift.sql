-- Entries and events whose share of the traffic changed from one day to the next and stayed changed for 8 days at least, while the events that usually go with them did not change.
-- severity: warning
-- finding: {subject} is recorded at another level {dates}: {detail}.
-- remedy: Find out what was released on the first of these days. If the tag was wrong before or is wrong since, figures of the two periods must not be compared.
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all subjects, days and lengths together
-- threshold: shift FLOAT64 = 1.4 factor between two levels, up or down, from which a change is told
-- threshold: fewest_expected FLOAT64 = 10 occurrences of an ordinary day
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, counted_events ARRAY<STRING>
-- structure: none
-- judge: level_shift
{% import 'audit/volume/_series.sql' as volume with context %}
{{ volume.series() }}
