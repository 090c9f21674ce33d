"""The background of the page: the audit, segments and what was sent of them, and where the figures come from."""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.report.blocks import Audited, Block, Said, Tabled
from microconv.report.data import ReportData
from microconv.result import sheet
from microconv.segments.size import SegmentCount, SegmentResult
from microconv.wording import Heading, Sheet


def audit_blocks(data: ReportData) -> Iterator[Block]:
    """Yield what the audit of the tracking found."""
    if data.audit is not None:
        yield Said(data.audit.sentence)
        yield Audited(data.audit)


def segment_blocks(data: ReportData) -> Iterator[Block]:
    """Yield how large the segments are, and what was pushed of them last."""
    segments = data.results(SegmentResult)
    if not segments and not data.lists:
        return
    if segments:
        rows = tuple(row for each in segments for row in each.rows)
        largest = max(rows, key=lambda row: row.members)
        share = f" ({wording.share(largest.share)} of all actors)" if largest.share else ""
        yield Said(
            f"{wording.plural(len(rows), 'segment')}; the largest is {largest.segment} with "
            f"{wording.plural(largest.members, 'member')}{share}."
        )
        yield Tabled(sheet("Segments at the latest event", rows, SegmentCount))
    for each in data.lists:
        yield Tabled(each)
    if not data.lists:
        yield Said("Nothing was pushed to a destination yet.")


def lineage_blocks(data: ReportData) -> Iterator[Block]:
    """Yield which days, shards, tables and taxonomy the figures come from, and the commands that give them again."""
    if not data.lineage:
        return
    yield Said(
        f"Everything here is counted from the staged tables by microconv {data.version}. Each section says what its "
        "figures rest on; each command gives the same figures again."
    )
    yield from (Tabled(each) for each in data.lineage[:1])
    if data.answers:
        yield Tabled(
            Sheet(
                "Commands",
                (Heading("microconv", is_whole=True), Heading("about"), Heading("days")),
                tuple(
                    (each.command, each.about or "", "of the page" if each.is_of_period else "all staged")
                    for each in data.answers
                    if each.command
                ),
            ),
            folded="The command behind each answer",
        )
    yield from (Tabled(each, folded=each.title) for each in data.lineage[1:])
