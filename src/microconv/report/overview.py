"""The head of the page: what changed and what to do first in a few lines, and the key figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from microconv import wording
from microconv.analyses.funnels.comparison import FunnelComparisonResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.analyses.insight.lift import MORE, LiftResult
from microconv.analyses.key_figures import ChangesResult
from microconv.guardrails.guardrails_question import GuardrailsResult
from microconv.report.attention import DETAILS, attention
from microconv.report.blocks import Block, Findings, Lines, OverviewLine, Said, Tile, Tiles
from microconv.report.data import ReportData
from microconv.report.funnel_section import against_before, largest_loss
from microconv.staging.summary import StagedSummary

MOST_LINES = 5
_MOST_CHANGES = 2


def overview_blocks(data: ReportData) -> Iterator[Block]:
    """Yield what changed, what to do first, and the key figures."""
    changed = tuple(islice(_changed(data), _MOST_CHANGES))
    first = tuple(islice(_first(data), MOST_LINES - len(changed)))
    if changed:
        yield Lines("What changed", changed)
    if first:
        yield Lines("What to look at first", first)
    if not changed and not first and data.summary.events:
        yield Said("Nothing stands out in these days.")
    if data.asked and not data.before:
        yield Said("Nothing is compared with the days before: not all of them are staged.", is_aside=True)
    yield Tiles(tuple(_tiles(data.summary, data.summary_before)))


def attention_blocks(data: ReportData) -> Iterator[Block]:
    """Yield what to know before trusting the numbers."""
    yield Findings(attention(data), DETAILS)


def _changed(data: ReportData) -> Iterator[OverviewLine]:
    for changes in data.results(ChangesResult):
        if changes.first_date is not None:
            yield OverviewLine(changes.sentence, "trend")
    for compared in data.results(FunnelComparisonResult):
        yield OverviewLine(against_before(compared), "funnels")


def _first(data: ReportData) -> Iterator[OverviewLine]:
    """Yield what to look at, the most urgent first: what makes numbers wrong, what is lost, what goes with more."""
    for guardrails in data.results(GuardrailsResult):
        for guardrail in [each for each in guardrails.guardrails if each.stops][:1]:
            yield OverviewLine(f"{guardrail.words[:1].upper()}{guardrail.words[1:]}.", "guardrails")
    found = attention(data)
    told = set()
    for finding in [each for each in found if each.severity == "error"][:1]:
        told.add(finding.subject)
        yield OverviewLine(f"{finding.message} {finding.remedy}".rstrip(), DETAILS.get(finding.check, "attention"))
    for fault in [each for each in data.audit.findings if each.counts] if data.audit else []:
        if fault.severity == "error" and fault.subject not in told:
            stake = f" {wording.plural(fault.at_stake, 'macro-conversion')} at stake." if fault.at_stake else ""
            yield OverviewLine(f"{fault.message}{stake}", "audit")
            break
    for funnel in data.results(FunnelResult)[:1]:
        if loss := largest_loss(funnel):
            before, after, lost, of = loss
            yield OverviewLine(
                f"Most {funnel.count} are lost between {before} and {after}: "
                f"{wording.count(lost)} of {wording.count(of)} ({wording.share(lost / of)}).",
                "funnels",
            )
    for lift in data.results(LiftResult)[:1]:
        for row in [each for each in lift.lifts if each.verdict == MORE][:1]:
            yield OverviewLine(
                f"{row.micro_conversion} goes with {wording.times(row.ratio)} times as many {row.goal} "
                f"({wording.times(row.low)} to {wording.times(row.high)}, {row.tier}): worth a test, not a proof.",
                "lift",
            )
    for finding in [each for each in found if each.severity == "warning" and each.subject not in told]:
        yield OverviewLine(finding.message, DETAILS.get(finding.check, "attention"))


def _tiles(now: StagedSummary, before: StagedSummary | None) -> Iterator[Tile]:
    for name, count in _COUNTS.items():
        against = ""
        if before is not None:
            was = count(before)
            change = f" ({(count(now) - was) / was:+.1%})" if was else ""
            against = f"before: {wording.count(was)}{change}"
        yield Tile(name, wording.count(count(now)), against)
    for name, share in _SHARES.items():
        against = f"before: {wording.share(share(before))}" if before is not None else ""
        yield Tile(name, wording.share(share(now)), against)


_COUNTS: dict[str, Callable[[StagedSummary], int]] = {
    "Events": lambda held: held.events,
    "Sessions": lambda held: held.sessions,
    "Actors": lambda held: held.actors,
    "Micro-conversions": lambda held: held.micro_conversions,
    "Duplicates removed": lambda held: held.duplicates_removed,
}
_SHARES: dict[str, Callable[[StagedSummary], float | None]] = {
    "Engaged sessions": lambda held: wording.ratio(held.engaged_sessions, held.sessions),
    "Events without consent": lambda held: wording.ratio(held.consentless_events, held.events),
}
