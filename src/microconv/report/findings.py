"""What needs attention, in plain sentences: read from the results, and the same in the page and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from microconv.analyses.attribution.results import AttributionResult
from microconv.audit.coverage import Outage
from microconv.report import wording
from microconv.report.data import ReportData

Severity = Literal["problem", "warning", "note"]

CONSENTLESS_WARNING_SHARE = 0.20
UNASSIGNED_WARNING_SHARE = 0.05
UNTOUCHED_WARNING_SHARE = 0.20
OUTAGES_LISTED = 5

_RANK: dict[Severity, int] = {"problem": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One sentence (or two) on something a reader should know before trusting the numbers.

    `kind` is stable and says what was found, `section` is the part of the page that has the detail, None for the
    page as a whole. `problem`: numbers are wrong or missing. `warning`: numbers need care. `note`: good to know.
    """

    kind: str
    severity: Severity
    text: str
    section: str | None = None


def findings(data: ReportData) -> tuple[Finding, ...]:
    """Return what needs attention, worst first; empty when nothing does."""
    if data.summary.events == 0:
        return (Finding("no_events", "problem", "No events are staged yet, so there is nothing to report on."),)
    found = [*_gaps(data), *_outages(data), *_consent(data), *_unassigned(data), *_funnels(data)]
    if data.attribution is not None:
        found.extend(_attribution(data.attribution))
    found.extend([*_provisional(data), *_duplicates(data), *_never_seen(data)])
    return tuple(sorted(found, key=lambda finding: _RANK[finding.severity]))


def _gaps(data: ReportData) -> Iterator[Finding]:
    first, last = data.summary.first_date, data.summary.last_date
    if first is None or last is None:
        return
    missing = (last - first).days + 1 - data.summary.days
    if missing > 0:
        verb = "has" if missing == 1 else "have"
        yield Finding(
            "missing_days",
            "problem",
            f"{wording.plural(missing, 'day')} of {wording.period(first, last)} {verb} no export: "
            "every total is too low.",
        )


def _outages(data: ReportData) -> Iterator[Finding]:
    outages = sorted(data.coverage.outages, key=lambda outage: outage.occurrences - outage.expected)
    for outage in outages[:OUTAGES_LISTED]:
        yield Finding(
            "outage", "problem" if outage.status == "missing" else "warning", _outage_text(data, outage), "coverage"
        )
    more = len(outages) - OUTAGES_LISTED
    if more > 0:
        verb = "is" if more == 1 else "are"
        yield Finding(
            "outage",
            "problem" if any(outage.status == "missing" for outage in outages[OUTAGES_LISTED:]) else "warning",
            f"{wording.plural(more, 'more outage')} {verb} listed with the coverage by day.",
            "coverage",
        )


def _outage_text(data: ReportData, outage: Outage) -> str:
    what = "was missing" if outage.status == "missing" else "was far below what was expected"
    dates = wording.period(outage.first_date, outage.last_date)
    when = f"on {dates}" if outage.days == 1 else f"from {dates} ({wording.plural(outage.days, 'day')})"
    seen = f"{wording.count(outage.occurrences)} seen, about {wording.decimal(outage.expected, 0)} expected"
    still = " That is the last day there is." if outage.last_date == data.coverage.last_date else ""
    return f"{outage.micro_conversion} {what} {when}: {seen}.{still}"


def _consent(data: ReportData) -> Iterator[Finding]:
    part = wording.ratio(data.summary.consentless_events, data.summary.events)
    if part:
        yield Finding(
            "consentless",
            "warning" if part >= CONSENTLESS_WARNING_SHARE else "note",
            f"{wording.share(part)} of the events came without consent "
            f"({wording.count(data.summary.consentless_events)} of {wording.count(data.summary.events)}). "
            "They are counted, and kept out of sessions, actors and segments.",
        )


def _unassigned(data: ReportData) -> Iterator[Finding]:
    total = sum(row.sessions for row in data.channels.channels)
    unassigned = sum(row.sessions for row in data.channels.channels if row.channel_group == wording.UNASSIGNED)
    part = wording.ratio(unassigned, total)
    if part:
        yield Finding(
            "unassigned",
            "warning" if part >= UNASSIGNED_WARNING_SHARE else "note",
            f"{wording.share(part)} of the sessions have no channel ({wording.count(unassigned)} of "
            f"{wording.count(total)} are {wording.UNASSIGNED}). Look at how their links are tagged.",
            "channels",
        )


def _funnels(data: ReportData) -> Iterator[Finding]:
    for funnel in data.funnels:
        if funnel.steps and not any(step.count for step in funnel.steps):
            yield Finding(
                "empty_funnel",
                "warning",
                f"No {funnel.unit} entered the funnel {funnel.funnel}: its first step, {funnel.steps[0].step}, "
                "was never reached.",
                "funnels",
            )


def _attribution(result: AttributionResult) -> Iterator[Finding]:
    if result.conversions == 0:
        yield Finding(
            "no_conversions",
            "warning",
            f"No {result.conversion} was seen, so no credit could be given.",
            "attribution",
        )
        return
    # The widest window is the one that leaves the fewest conversions untouched; of equals, the last in order.
    widest = min(reversed(result.untouched), key=lambda row: row.conversions, default=None)
    if widest is None or widest.conversions == 0:
        return
    part = widest.conversions / result.conversions
    yield Finding(
        "untouched",
        "warning" if part >= UNTOUCHED_WARNING_SHARE else "note",
        f"{wording.count(widest.conversions)} of {wording.count(result.conversions)} {result.conversion} conversions "
        f"({wording.share(part)}) had no touchpoint within {wording.window(widest.window)}. "
        "No model gives them to a channel.",
        "attribution",
    )


def _provisional(data: ReportData) -> Iterator[Finding]:
    days = data.summary.provisional_days
    if days:
        verb, whose = ("is", "its") if days == 1 else ("are", "their")
        yield Finding(
            "provisional",
            "note",
            f"{wording.plural(days, 'day')} {verb} provisional: "
            f"{whose} numbers will change when the daily export lands.",
        )


def _duplicates(data: ReportData) -> Iterator[Finding]:
    removed = data.summary.duplicates_removed
    if removed:
        verb = "was" if removed == 1 else "were"
        yield Finding(
            "duplicates",
            "note",
            f"{wording.plural(removed, 'exact duplicate')} {verb} removed before anything was counted.",
        )


def _never_seen(data: ReportData) -> Iterator[Finding]:
    names = data.coverage.never_seen
    if names:
        verb = "was" if len(names) == 1 else "were"
        yield Finding(
            "never_seen",
            "note",
            f"{wording.listed(names)} {verb} never seen. Not tracked, or not on this site.",
            "coverage",
        )
