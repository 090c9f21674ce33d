"""Paths on the page: the flow of journeys to the goal, and the most frequent ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from microconv import wording
from microconv.analyses.paths.path_questions import PathsResult
from microconv.report.blocks import Block, Picture, Plot, Points, Said, Tabled
from microconv.report.data import ReportData
from microconv.report.figures import flow_figure
from microconv.result import EXIT, OTHER, START
from microconv.wording import Heading, Sheet

NODES_DRAWN = 5
"""Nodes drawn at each position; the others are drawn as one."""
POSITIONS_DRAWN = 5
"""Positions drawn beside the point."""
SEQUENCES_SHOWN = 8

Link = tuple[int, str, str, int]


def path_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the flow and the most frequent paths."""
    answer = next((each for each in data.answers if isinstance(each.result, PathsResult)), None)
    if answer is None:
        return
    result = answer.result
    assert isinstance(result, PathsResult)  # noqa: S101 - chosen above
    yield Said(result.sentence)
    if data.asked and not answer.is_of_period:
        yield Said("This has days of its own, whatever the days of the page.", is_aside=True)
    if not result.journeys:
        return
    if links := drawn_links(result):
        point = result.to or result.from_ or "the beginning"
        drawn = Sheet(
            f"Journeys by position before {point}" if result.to else f"Journeys by position after {point}",
            (Heading("Step", str), Heading("From"), Heading("To"), Heading("Journeys", wording.count)),
            links,
        )
        label = (
            f"Flow of {wording.count(result.journeys)} journeys, {point} at one end. {result.sentence} "
            "The table after it has the same numbers."
        )
        yield Picture(
            Plot("paths-chart", label, flow_figure(links), is_wide=True), drawn, folded="Journeys from node to node"
        )
    if result.sequences:
        most = result.sequences[:SEQUENCES_SHOWN]
        yield Tabled(
            Sheet(
                f"The {wording.plural(len(most), 'most frequent path')}",
                (
                    *(Heading("Path"), Heading("Journeys", wording.count), Heading("Share", wording.share)),
                    Heading("Median time", wording.elapsed),
                ),
                tuple((each.sequence, each.journeys, each.share, each.seconds_median) for each in most),
            )
        )
    yield Points("Assumptions", result.assumptions)


def drawn_links(result: PathsResult) -> tuple[Link, ...]:
    """Return the links as they are drawn: the nearest positions, and at each the largest nodes, the others as one."""
    found = [
        (each.from_position, each.from_node, each.to_node, each.journeys)
        for each in result.links
        if -POSITIONS_DRAWN <= each.from_position < POSITIONS_DRAWN
    ]
    weights: Counter[tuple[int, str]] = Counter()
    for position, start, end, journeys in found:
        weights[position, start] += journeys
        weights[position + 1, end] += journeys
    named: set[tuple[int, str]] = set()
    for position in {at for at, _ in weights}:
        here = [(-weight, name) for (at, name), weight in weights.items() if at == position and name != OTHER]
        named |= {(position, name) for _, name in sorted(here)[:NODES_DRAWN]}
        named |= {(position, name) for _, name in here if name in (START, EXIT)}
    merged: Counter[tuple[int, str, str]] = Counter()
    for position, start, end, journeys in found:
        one = start if (position, start) in named else OTHER
        other = end if (position + 1, end) in named else OTHER
        merged[position, one, other] += journeys
    ordered = sorted(merged.items(), key=lambda each: (each[0][0], -each[1], each[0]))
    return tuple((position, start, end, journeys) for (position, start, end), journeys in ordered)
