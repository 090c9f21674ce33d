"""What needs attention before the numbers are trusted; the same in the page and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.analyses.attribution.credits import AttributionResult
from microconv.analyses.channels import ChannelsResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.audit.coverage import CoverageResult, Outage
from microconv.config.values import Duration
from microconv.findings import Finding, worst_first
from microconv.report.data import ReportData
from microconv.report.journey_section import silent_stage_findings
from microconv.staging.summary import StagedSummary

UNASSIGNED = "Unassigned"
"""GA4's name for the channel group of sessions that no rule could place."""

CONSENTLESS_WARNING_SHARE = 0.20
UNASSIGNED_WARNING_SHARE = 0.05
UNTOUCHED_WARNING_SHARE = 0.20
OUTAGES_LISTED = 5

DETAILS = {
    "outage": "coverage",
    "never_seen": "coverage",
    "silent_stage": "journey",
    "unassigned": "channels",
    "empty_funnel": "funnels",
    "no_conversions": "attribution",
    "untouched": "attribution",
    "short_history": "attribution",
}
"""The part of the page that has the detail of a check; others are about the page as a whole."""

_CHECK_TRACKING = "Check what changed in the tracking then: a release of the site, a tag, the consent banner."


def attention(data: ReportData) -> tuple[Finding, ...]:
    """Return what needs attention, worst first; empty when nothing does."""
    if data.summary.events == 0:
        message = "No events are staged yet, so there is nothing to report on."
        return (Finding("no_events", "error", message, "Run `microconv sync`."),)
    return worst_first(_all(data))


def _all(data: ReportData) -> Iterator[Finding]:
    yield from _missing_days(data.summary)
    for coverage in data.results(CoverageResult):
        yield from _outages(coverage)
    yield from data.export_findings
    yield from _consent(data.summary)
    for channels in data.results(ChannelsResult):
        yield from _unassigned(channels)
    for funnel in data.results(FunnelResult):
        yield from _empty_funnel(funnel)
    for attribution in data.results(AttributionResult):
        yield from _attribution(attribution)
        yield from _short_history(attribution, data.staged or data.summary)
    yield from _provisional(data.summary)
    yield from _duplicates(data.summary)
    yield from silent_stage_findings(data)
    for coverage in data.results(CoverageResult):
        yield from _never_seen(coverage)


def _missing_days(summary: StagedSummary) -> Iterator[Finding]:
    first, last = summary.first_date, summary.last_date
    if first is None or last is None:
        return
    missing = (last - first).days + 1 - summary.days
    if missing > 0:
        verb = "has" if missing == 1 else "have"
        yield Finding(
            "missing_days",
            "error",
            f"{wording.plural(missing, 'day')} of {wording.period(first, last)} {verb} no export: "
            "every total is too low.",
            "`microconv doctor` names the days: check whether their shards were deleted, expired or never copied.",
        )


def _outages(coverage: CoverageResult) -> Iterator[Finding]:
    outages = sorted(coverage.outages, key=lambda outage: outage.occurrences - outage.expected)
    for outage in outages[:OUTAGES_LISTED]:
        yield Finding(
            "outage",
            "error" if outage.status == "missing" else "warning",
            _outage_text(outage, is_last=outage.last_date == coverage.last_date),
            _CHECK_TRACKING,
            subject=outage.micro_conversion,
        )
    more = outages[OUTAGES_LISTED:]
    if more:
        verb = "is" if len(more) == 1 else "are"
        yield Finding(
            "outage",
            "error" if any(outage.status == "missing" for outage in more) else "warning",
            f"{wording.plural(len(more), 'more outage')} {verb} listed with the coverage by day.",
            _CHECK_TRACKING,
        )


def _outage_text(outage: Outage, *, is_last: bool) -> str:
    what = "was missing" if outage.status == "missing" else "was far below what was expected"
    dates = wording.period(outage.first_date, outage.last_date)
    when = f"on {dates}" if outage.days == 1 else f"from {dates} ({wording.plural(outage.days, 'day')})"
    seen = f"{wording.count(outage.occurrences)} seen, about {wording.decimal(outage.expected, 0)} expected"
    until_now = " No later day is staged." if is_last else ""
    return f"{outage.micro_conversion} {what} {when}: {seen}.{until_now}"


def _consent(summary: StagedSummary) -> Iterator[Finding]:
    part = wording.ratio(summary.consentless_events, summary.events)
    if part:
        yield Finding(
            "consentless",
            "warning" if part >= CONSENTLESS_WARNING_SHARE else "note",
            f"{wording.share(part)} of the events came without consent "
            f"({wording.count(summary.consentless_events)} of {wording.count(summary.events)}). "
            "They are counted, and kept out of sessions, actors and segments.",
            "If that is more than you expect, check the consent banner.",
        )


def _unassigned(channels: ChannelsResult) -> Iterator[Finding]:
    total = sum(row.sessions for row in channels.channels)
    unassigned = sum(row.sessions for row in channels.channels if row.channel_group == UNASSIGNED)
    part = wording.ratio(unassigned, total)
    if part:
        yield Finding(
            "unassigned",
            "warning" if part >= UNASSIGNED_WARNING_SHARE else "note",
            f"{wording.share(part)} of the sessions have no channel ({wording.count(unassigned)} of "
            f"{wording.count(total)} are {UNASSIGNED}).",
            "Check how the links that bring them are tagged.",
            subject=UNASSIGNED,
        )


def _empty_funnel(funnel: FunnelResult) -> Iterator[Finding]:
    if funnel.steps and not any(step.count for step in funnel.steps):
        first = funnel.steps[0].step
        yield Finding(
            "empty_funnel",
            "warning",
            f"No {funnel.unit} entered the funnel {funnel.funnel}: its first step, {first}, was never reached.",
            f"Check the tracking of {first}, and the steps of the funnel in the configuration.",
            subject=funnel.funnel,
        )


def _attribution(result: AttributionResult) -> Iterator[Finding]:
    if result.conversions == 0:
        yield Finding(
            "no_conversions",
            "warning",
            f"No {result.goal} was seen, so no credit could be given.",
            f"Check the tracking of {result.goal}, or set attribution.goal to another micro-conversion.",
            subject=result.goal,
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
        f"{wording.count(widest.conversions)} of {wording.count(result.conversions)} {result.goal} conversions "
        f"({wording.share(part)}) had no touchpoint within {wording.window(widest.window)}. "
        "No model credits them to a touchpoint.",
        "Add a longer window to attribution.windows, or stage earlier days: what happened before them is unknown.",
        subject=result.goal,
    )


def _short_history(result: AttributionResult, summary: StagedSummary) -> Iterator[Finding]:
    if summary.first_date is None or summary.last_date is None:
        return
    days = (summary.last_date - summary.first_date).days + 1
    longest = max((Duration.parse(row.window) for row in result.untouched), key=lambda each: each.seconds, default=None)
    if longest is None or longest.seconds <= days * 86_400:
        return
    yield Finding(
        "short_history",
        "note",
        f"The longest lookback window is {wording.window(longest.text)}, and only {wording.plural(days, 'day')} "
        f"{'is' if days == 1 else 'are'} staged: what happened before them is unknown.",
        "Stage earlier days where the export has them, or set attribution.windows to shorter ones.",
        subject=result.goal,
    )


def _provisional(summary: StagedSummary) -> Iterator[Finding]:
    days = summary.provisional_days
    if days:
        verb, whose = ("is", "its") if days == 1 else ("are", "their")
        yield Finding(
            "provisional",
            "note",
            f"{wording.plural(days, 'day')} {verb} provisional: "
            f"{whose} numbers will change when the daily export arrives.",
        )


def _duplicates(summary: StagedSummary) -> Iterator[Finding]:
    removed = summary.duplicates_removed
    if removed:
        verb = "was" if removed == 1 else "were"
        yield Finding(
            "duplicates",
            "note",
            f"{wording.plural(removed, 'exact duplicate')} {verb} removed before anything was counted.",
        )


def _never_seen(coverage: CoverageResult) -> Iterator[Finding]:
    names = coverage.never_seen
    if names:
        verb, they, do = ("was", "It is", "does") if len(names) == 1 else ("were", "They are", "do")
        yield Finding(
            "never_seen",
            "note",
            f"{wording.listed(names)} {verb} never seen. {they} not tracked, or {do} not exist on this site.",
        )
