"""What to do first, on the page: each idea's rank with its interval, so that a tie looks like a tie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microconv import wording
from microconv.priorities.prioritize import PERIOD_DAYS, PrioritiesResult, Priority
from microconv.report.blocks import Block, OverviewLine, Picture, Plot, Points, Said, Tabled
from microconv.report.data import ReportData
from microconv.report.figures import RankRow, rank_figure
from microconv.wording import Sheet

SECTION = "priorities"
MOST_LINES = 3
"""Ideas that the overview tells."""
_TIED_NAMED = 2


def priority_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the ideas in their order, their ranks with intervals, and what these rest on."""
    for number, result in enumerate(data.results(PrioritiesResult), start=1):
        yield Said(result.sentence)
        sheets = [each for each in result.sheets() if isinstance(each, Sheet) and each.rows]
        told = ranked(result)
        if told:
            yield Said(
                "Each mark is the rank of an idea by its score, and its line the ranks that it may have as well (90%). "
                "Ideas whose lines overlap are as good as tied.",
                is_aside=True,
            )
            label = f"Ranks with intervals, by idea. {result.sentence} The table after it has the same numbers."
            rows = [RankRow(row.idea, row.rank or 0, row.rank_low or 0, row.rank_high or 0, row.kind) for row in told]
            yield Picture(Plot(f"{SECTION}-{number}", label, rank_figure(rows)), sheets[0])
            sheets = sheets[1:]
        yield from (Tabled(each, folded=each.title if told else "") for each in sheets)
        yield Points("Assumptions", result.assumptions)


def ranked(result: PrioritiesResult) -> list[Priority]:
    """Return the ideas that have a rank, in the order in which to do them."""
    return [row for row in result.priorities if row.rank is not None]


def priority_lines(data: ReportData) -> Iterator[OverviewLine]:
    """Yield the first ideas that bring something, each with what it is as good as tied with."""
    for result in data.results(PrioritiesResult):
        told = ranked(result)
        for row in [each for each in told if each.score is not None and each.score > 0][:MOST_LINES]:
            yield OverviewLine(_line(row, tied_with(row, told), result.goal), SECTION)


def tied_with(row: Priority, others: Sequence[Priority]) -> list[str]:
    """Return the ideas whose ranks overlap with those of one."""
    low, high = row.rank_low or 0, row.rank_high or 0
    return [
        each.idea
        for each in others
        if each is not row and (each.rank_low or 0) <= high and (each.rank_high or 0) >= low
    ]


def _line(row: Priority, tied: Sequence[str], goal: str) -> str:
    said = (
        f"{row.what} That may bring {wording.decimal(row.goals)} more actors to {goal} in {PERIOD_DAYS} days "
        f"({wording.decimal(row.low)} to {wording.decimal(row.high)} as assumed, on {row.tier} evidence)."
    )
    if row.after:
        said += f" It comes after {row.after}."
    if tied:
        said += f" As good as tied with {wording.listed(tied, _TIED_NAMED)}."
    return said
