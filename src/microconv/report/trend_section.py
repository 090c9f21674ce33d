"""The macro-conversion day by day on the page, held against the days before, with what moves before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from microconv import wording
from microconv.analyses.insight.leading import LeadingResult
from microconv.analyses.key_figures import ChangesResult
from microconv.report.blocks import Block, Key, Picture, Plot, Points, Said, Tabled, Titled
from microconv.report.data import ReportData
from microconv.report.figures import TrendLine, line_figure
from microconv.wording import Heading, Sheet

LEADING_DRAWN = 2
"""Leading entries of which a line is drawn."""
FEWEST_DAYS_FOR_WEEKS = 28
"""Days with figures from which on a line over seven days is drawn as well."""
WEEK = 7
_NOW, _BEFORE, _WEEK = "These days", "The days before", "The last seven days"


def trend_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the rate of the macro-conversion by day, the key figures, and what moves before it."""
    for number, result in enumerate(data.results(ChangesResult), start=1):
        yield Said(result.sentence)
        yield from _drawn(result, result.goal, f"trend-{number}")
        yield from (Tabled(each, folded=each.title) for each in result.sheets() if isinstance(each, Sheet))
        if result.assumptions:
            yield Points("Assumptions", result.assumptions)
    for leading in data.results(LeadingResult):
        yield Titled("Leading indicators", tuple(_leading(leading, data)))


def _leading(result: LeadingResult, data: ReportData) -> Iterator[Block]:
    yield Said(result.sentence)
    changes = data.result(ChangesResult)
    leads = [each.micro_conversion for each in result.entries if each.is_leading][:LEADING_DRAWN]
    for number, entry in enumerate(leads if changes else [], start=1):
        assert changes is not None  # noqa: S101 - asked for just above
        yield from _drawn(changes, entry, f"leading-{number}")
    if result.tests:
        yield from (Tabled(each, folded=each.title) for each in result.sheets() if isinstance(each, Sheet))
    if result.assumptions:
        yield Points("Assumptions", result.assumptions)


def _drawn(result: ChangesResult, figure: str, anchor: str) -> Iterator[Block]:
    """Draw the share of a day's actors who did something, these days over the days before."""
    if result.first_date is None or result.last_date is None:
        return
    parts = {each.event_date: (each.number, each.of) for each in result.series if each.figure == figure}
    if not any(number for number, _ in parts.values()):
        return
    length = (result.last_date - result.first_date).days + 1
    days = [result.first_date + timedelta(days=place) for place in range(length)]
    earlier = [day - timedelta(days=length) for day in days]
    now, before = _line(_NOW, days, parts, "accent", "solid"), _line(_BEFORE, earlier, parts, "muted", "dot")
    title = f"Share of each day's actors who did {figure}"
    said = f"{title}: {_spread(now)} these days, {_spread(before)} in the days before."
    week = _over_weeks(days, parts) if len(parts) >= FEWEST_DAYS_FOR_WEEKS else None
    ends = [share for share in week.shares if share is not None] if week else []
    if ends:
        said += (
            f" Over seven days at a time, so that days of the week even out: {wording.share(ends[0])} at the start, "
            f"{wording.share(ends[-1])} at the end."
        )
    yield Said(said, is_aside=True)
    sheet = Sheet(
        title,
        (
            *(Heading("Day"), Heading("Actors", _whole), Heading("Share", wording.share)),
            *(Heading("Day before"), Heading("Actors then", _whole), Heading("Share then", wording.share)),
            *((Heading("Last seven days", wording.share),) if ends else ()),
        ),
        tuple(
            (
                *(day, parts.get(day, (None, None))[0], share, then, parts.get(then, (None, None))[0], was),
                *((week.shares[place],) if week and ends else ()),
            )
            for place, (day, share, then, was) in enumerate(zip(days, now.shares, earlier, before.shares, strict=True))
        ),
    )
    legend: tuple[Key, ...] = (Key(_NOW, "circle", "--accent"), Key(_BEFORE, "circle", "--muted"))
    lines: tuple[TrendLine, ...] = (before, now)
    if week and ends:
        lines = (replace(before, is_faint=True), replace(now, is_faint=True), week)
        legend = (Key(_WEEK, "circle", "--series-2"), *legend)
    label = f"Line chart by day. {said} The table after it has the same numbers."
    yield Picture(Plot(anchor, label, line_figure(days, lines), legend), sheet, folded=f"{figure} by day")


def _line(
    name: str, days: Sequence[date], parts: Mapping[date, tuple[float, float | None]], colour: str, dash: str
) -> TrendLine:
    shares = []
    notes = []
    for day in days:
        number, of = parts.get(day, (0.0, None))
        shares.append(number / of if of else None)
        notes.append(f"{wording.day(day)}: {_whole(number)} of {_whole(of)} actors" if of else wording.day(day))
    return TrendLine(name, tuple(shares), tuple(notes), f"var(--{colour})", dash)


def _over_weeks(days: Sequence[date], parts: Mapping[date, tuple[float, float | None]]) -> TrendLine:
    """Return the share over each day and the six before it; none where one of these is not known."""
    shares: list[float | None] = []
    notes = []
    for day in days:
        known = [parts.get(day - timedelta(days=back), (0.0, None)) for back in range(WEEK)]
        number, of = sum(each for each, _ in known), sum(each or 0.0 for _, each in known)
        is_known = of > 0 and all(each is not None for _, each in known)
        shares.append(number / of if is_known else None)
        notes.append(f"{_whole(number)} of {_whole(of)} actors of these days, each counted once a day")
    return TrendLine(_WEEK, tuple(shares), tuple(notes), "var(--series-2)")


def _spread(line: TrendLine) -> str:
    known = [share for share in line.shares if share is not None]
    return f"{wording.share(min(known))} to {wording.share(max(known))} a day" if known else "unknown"


def _whole(number: float | None) -> str:
    return wording.decimal(number, 0)
