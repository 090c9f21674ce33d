-- Entries and events that were not recorded at all for 1 to 7 days, though the traffic of these days lets one expect them. An entry that is gone for longer is told by `gone`.
-- severity: error
-- finding: {subject} was not recorded at all {dates}, though the traffic of these days lets one expect about {total}.
-- remedy: Look what was released before the first of these days: the tag, its trigger, the consent banner, the page itself. The days cannot be recovered: mark them in reports, and leave them out of comparisons.
-- threshold: false_alarms FLOAT64 = 0.01 alarms by chance to expect of all subjects, days and lengths together
-- threshold: fewest_expected FLOAT64 = 10 occurrences that must be expected of the days
-- grain: property, subject, event_date
-- params: first_date DATE, last_date DATE, entry_ids ARRAY<STRING>, counted_events ARRAY<STRING>
-- structure: none
-- judge: blackout
{% import 'audit/volume/_series.sql' as volume with context %}
{{ volume.series() }}
