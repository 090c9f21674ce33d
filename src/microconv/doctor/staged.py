"""Checks of the data: what the exports hold, what is staged of it, and how the last runs ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from microconv import wording
from microconv.doctor.examination import to_do
from microconv.doctor.patient import Patient
from microconv.errors import SourceError
from microconv.exports import passed_over
from microconv.findings import Finding, fault, not_tested, ok, warning
from microconv.staging import Scope, compare, export_findings, is_at_cap, mc_tables
from microconv.staging.external_findings import external_findings
from microconv.staging.facts import Facts
from microconv.staging.runs import Run

_OLDEST_DAYS = 2
"""GA4 delivers a daily table within a day, at times within two."""
_LONGEST_SILENCE = timedelta(hours=26)
_SHOWN = 5
_NOTHING_STAGED = "Nothing is staged yet."


def exports(patient: Patient) -> Finding:
    """List the shards of every source."""
    try:
        days = patient.days()
    except SourceError as error:
        return fault(error.message, to_do(error, "roles/bigquery.dataViewer on the dataset of the export"))
    said = "; ".join(f"{label}: {len(days[label])} days, {min(days[label])} to {max(days[label])}" for label in days)
    return ok(f"{said}.")


def unread(patient: Patient) -> Finding:
    """Look for files and tables that look like a part of the export and are not read."""
    found = passed_over(patient.project.sources)
    if found:
        return warning(" ".join(each.message for each in found), found[0].remedy)
    return ok("Nothing that looks like a part of the export is left unread.")


def freshness(patient: Patient) -> Finding:
    """Compare each property's newest daily shard with today in the property's zone."""
    today = patient.now().astimezone(ZoneInfo(patient.config.project.timezone)).date()
    late, only_intraday, newest, ahead = [], [], {}, []
    for label in patient.days():
        days = [shard.day for shard in patient.shards if shard.property_id == label and shard.kind == "daily"]
        daily = [day for day in days if day <= today + timedelta(days=1)]
        # One of them would hide that the days of today do not come any more.
        ahead += [f"{label}: {day}" for day in sorted(set(days) - set(daily))]
        if not daily:
            only_intraday.append(label)
        elif (today - max(daily)).days > _OLDEST_DAYS:
            late.append(f"{label}: {max(daily)}, {(today - max(daily)).days} days ago")
        else:
            newest[label] = max(daily)
    if ahead and not late:
        return warning(
            f"There are shards of days that have not come yet: {wording.listed(ahead, limit=_SHOWN)}.",
            "Check the names of these shards, and the clock of this machine.",
        )
    if late:
        return warning(
            f"The newest daily shard is old. {'; '.join(late)}.",
            "Check the BigQuery link in GA4's admin pages, or whatever copies the shards here.",
        )
    if only_intraday:
        return warning(
            f"There are only intraday or fresh shards of {', '.join(only_intraday)}.",
            "Where streaming is all that GA4 exports, a day counts as complete once it is over, but it lacks GA4's own "
            "traffic sources of sessions. To have them, switch on the daily export in GA4's BigQuery link.",
        )
    return ok("; ".join(f"{label}: {day}" for label, day in newest.items()) + ".")


def gaps(patient: Patient) -> Finding:
    """Look for days without a shard between a property's first and last."""
    missing = [
        f"{label} {_days(day for day in _between(min(days), max(days)) if day not in days)}"
        for label, days in patient.days().items()
        if len(days) <= (max(days) - min(days)).days
    ]
    if missing:
        return warning(
            f"Days without a shard: {'; '.join(missing)}.",
            "GA4 does not export a missing day later: check whether the shards were deleted, expired or never copied.",
        )
    return ok("There is a shard for every day.")


def cap(patient: Patient) -> Finding:
    """Look for days on which GA4 stopped at its daily export limit."""
    if not patient.reads_bigquery:
        return not_tested("Only BigQuery tells how many rows a shard has before it is read.")
    full = [shard for shard, source in patient.shards.items() if is_at_cap(shard, source)]
    if full:
        return warning(
            f"At the daily limit of the export, so probably cut off: {_days(shard.day for shard in full)}.",
            "Exclude events in GA4's BigQuery link, or set daily_cap under [[sources]] (0 for GA4 360).",
        )
    return ok("No day has reached the daily limit.")


def versions(patient: Patient) -> Finding:
    """Compare the schema versions of the staged tables with those of this microconv."""
    known = {name: version for name, version in patient.versions.items() if version is not None}
    if not known:
        return not_tested(_NOTHING_STAGED)
    newer = [name for name, version in known.items() if version > mc_tables.TABLES[name].version]
    if newer:
        return fault(
            f"A newer microconv wrote {', '.join(newer)}.", "Upgrade this one, or set the engine to another place."
        )
    if patient.older:
        return warning(
            f"An older microconv wrote {', '.join(patient.older)}.", "The next `microconv sync` upgrades them."
        )
    return ok("All tables have the version of this microconv.")


def waiting(patient: Patient) -> Finding:
    """Compare the shards with what is staged."""
    rows = () if patient.versions["mc_shards"] is None else patient.staged
    today = patient.now().astimezone(ZoneInfo(patient.config.project.timezone)).date()
    plan = compare(rows, patient.shards, patient.project.rules, Scope(), today=today)
    reasons = ", ".join(f"{count} {reason}" for reason, count in plan.reasons().items())
    up_to_date = f"{plan.skipped} of {plan.seen} days are up to date"
    if any(not day.shard.is_provisional for day in plan.days):
        days = wording.plural(len(plan.days), "day")
        return warning(f"{up_to_date}; {days} to stage ({reasons}).", "Run `microconv sync`.")
    if plan.days:
        return ok(f"{up_to_date}; {wording.plural(len(plan.days), 'provisional day')} to stage ({reasons}).")
    return ok(f"{up_to_date}.")


def external(patient: Patient) -> Finding | tuple[Finding, ...]:
    """Look for the tables of other systems, and hold them against what was read of them."""
    config = patient.config
    if not (config.external_events or config.external_metrics):
        return not_tested("The configuration names none.")
    plan = patient.project.plan_external(patient.now())
    said = f"{plan.skipped} of {wording.plural(plan.seen, 'table')} of other systems are read as they are"
    if found := tuple(external_findings(plan)):
        return found
    waiting = [each for each in plan.tables if each.reason != "unknown"]
    if waiting:
        return warning(f"{said}; {wording.count(len(waiting))} to read.", "Run `microconv sync`.")
    return ok(f"{said}.")


def staged_export(patient: Patient) -> Finding | tuple[Finding, ...]:
    """Look at what the last run that finished found in all that is staged: asking anew would be billed."""
    if reason := patient.why_no_runs:
        return not_tested(reason)
    last = next((run for run in patient.runs if run.status == "done"), None)
    if last is None:
        return not_tested("No run has finished yet.")
    facts = Facts.read(last.facts, export_findings.query(patient.project.taxonomy))
    if facts is None:
        return not_tested("The last run did not look, or looked for other things: the next `microconv sync` does.")
    found = tuple(
        each for each in export_findings.findings(facts, patient.config) if each.severity in ("error", "warning")
    )
    return found or ok("Nothing in it contradicts the configuration.")


def runs(patient: Patient) -> Finding:
    """Look up how the latest runs ended, and when the last one finished."""
    if reason := patient.why_no_runs:
        return not_tested(reason)
    last = next((run for run in patient.runs if run.status != "running"), None)
    if last is not None and last.status == "failed":
        return fault(
            f"The run {last.run_id} failed: {last.error}",
            "Correct that and run `microconv sync`; `microconv runs list` shows earlier runs.",
        )
    done = next((run for run in patient.runs if run.status == "done"), None)
    if done is None:
        return warning("No run has finished yet.", "Run `microconv sync`; `microconv runs list` shows the runs.")
    if found := _out_of_time(patient, done):
        return found
    if last is not None and last.status == "interrupted":
        return warning(f"The run {last.run_id} was interrupted.", "The next `microconv sync` does the rest.")
    return ok(f"The run {done.run_id} finished {_ago(patient, done)}.")


def _out_of_time(patient: Patient, done: Run) -> Finding | None:
    """Look for runs of the future, and whether the last that finished is long ago."""
    ahead = next((run for run in patient.runs if run.is_of_the_future(patient.now())), None)
    if ahead is not None:
        return warning(
            f"The run {ahead.run_id} says that it began at {wording.second(ahead.started_at)}, which is in the future.",
            "Check the clock of the machine that runs microconv; runs are told apart by their number.",
        )
    if patient.now() - (done.ended_at or done.started_at) > _LONGEST_SILENCE:
        ago = _ago(patient, done)
        return warning(f"The last run that finished ended {ago}.", "Check whether the schedule still starts runs.")
    return None


def _ago(patient: Patient, done: Run) -> str:
    return f"{wording.elapsed((patient.now() - (done.ended_at or done.started_at)).total_seconds())} ago"


def _between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _days(found: Iterable[date]) -> str:
    """Name some days, the latest first."""
    return wording.listed([day.isoformat() for day in sorted(set(found), reverse=True)], limit=_SHOWN)
