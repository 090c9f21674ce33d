"""The head of the page: what changed and what to do first in a few lines, and the key figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from microconv import wording
from microconv.analyses.funnels.comparison import FunnelComparisonResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.analyses.insight.entry_lift import MORE
from microconv.analyses.insight.lift import LiftResult
from microconv.analyses.key_figures import ChangesResult
from microconv.guardrails.ethics import open_words
from microconv.guardrails.guardrails_question import GuardrailsResult
from microconv.report.attention import DETAILS, attention
from microconv.report.blocks import Block, Findings, Lines, OverviewLine, Said, Tile, Tiles
from microconv.report.data import ReportData
from microconv.report.funnel_section import against_before, largest_loss
from microconv.report.priorities_section import priority_lines
from microconv.staging.summary import StagedSummary

MOST_LINES = 5
_MOST_CHANGES = 2
_MOST_URGENT = 3
_SUBJECTS_NAMED = 3


def overview_blocks(data: ReportData) -> Iterator[Block]:
    """Yield what changed, what to do first, and the key figures."""
    urgent = tuple(islice(_urgent(data), _MOST_URGENT))
    ideas = tuple(priority_lines(data))
    # Whatever else is told, there is room for a change and for the first of the ideas.
    room = MOST_LINES - len(urgent) - bool(ideas)
    changed = tuple(islice(_changed(data), min(_MOST_CHANGES, room)))
    told = (*urgent, *(ideas or _noticed(data)), *_warnings(data))
    first = told[: MOST_LINES - len(changed)]
    if changed:
        yield Lines("What changed", changed)
    if first:
        yield Lines("What to do first", first)
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


def _urgent(data: ReportData) -> Iterator[OverviewLine]:
    """Yield what stops things or makes numbers wrong."""
    for guardrails in data.results(GuardrailsResult):
        for guardrail in [each for each in guardrails.guardrails if each.stops][:1]:
            yield OverviewLine(f"{wording.capital(guardrail.words)}.", "guardrails")
    if stopped := _stopped_by_ethics(data):
        yield OverviewLine(stopped, "ethics")
    subject = None
    for finding in [each for each in attention(data) if each.severity == "error"][:1]:
        subject = finding.subject
        yield OverviewLine(f"{finding.message} {finding.remedy}".rstrip(), DETAILS.get(finding.check, "attention"))
    for fault in [each for each in data.audit.findings if each.counts] if data.audit else []:
        if fault.severity == "error" and (subject is None or fault.subject != subject):
            stake = f" {wording.plural(fault.at_stake, 'macro-conversion')} at stake." if fault.at_stake else ""
            yield OverviewLine(f"{fault.message}{stake}", "audit")
            break


def _stopped_by_ethics(data: ReportData) -> str:
    """Say what open questions of ethics stop; empty where they stop nothing."""
    answers = data.ethics.answers if data.ethics is not None and data.do_ethics_stop else ()
    still_open = [each for each in answers if each.is_open]
    subjects = list(dict.fromkeys(each.subject for each in still_open))
    if not subjects:
        return ""
    verb = "is" if len(subjects) == 1 else "are"
    of_one = open_words([each for each in still_open if each.subject == subjects[0]])
    which = f": {of_one}" if len(subjects) == 1 else ""
    listed = wording.listed(subjects, _SUBJECTS_NAMED)
    return f"{wording.capital(listed)} {verb} stopped by open questions of ethics{which}."


def _noticed(data: ReportData) -> Iterator[OverviewLine]:
    """Yield what is lost and what goes with more, where no idea can be ranked."""
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


def _warnings(data: ReportData) -> Iterator[OverviewLine]:
    """Yield what needs care, but for what was told as an error."""
    found = attention(data)
    told = {each.subject for each in [each for each in found if each.severity == "error"][:1]}
    for finding in found:
        if finding.severity == "warning" and finding.subject not in told:
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
