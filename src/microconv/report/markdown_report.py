"""The report as Markdown: the same sections and tables, for a wiki, a ticket or a mail. Charts are their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from microconv import wording
from microconv.audit.audit_findings import AuditResult
from microconv.markdown import fenced, lines_of, markdown, table
from microconv.report.blocks import (
    Audited,
    Block,
    Choice,
    Copied,
    Findings,
    Heat,
    Journey,
    Lines,
    Picture,
    Points,
    Said,
    Stage,
    Tabled,
    Tiles,
    Titled,
)
from microconv.report.data import ReportData
from microconv.report.heat import HeatMap
from microconv.report.page import generated, period_of
from microconv.report.page_sections import parts
from microconv.wording import Heading, Sheet

MARK = "<!-- microconv report "
"""What a report as Markdown begins with, in all versions."""


def markdown_report(data: ReportData) -> str:
    """Return the report as Markdown; names from data are text, whatever they hold."""
    found = parts(data)
    titles = {part.id: part.title for part in found}
    lines = [
        f"{MARK}{data.version} -->",
        f"# {markdown(data.project_name)}: micro-conversion report",
        "",
        f"**{period_of(data)}**",
        "",
        f"- Property time zone: {markdown(data.timezone)}",
        f"- Generated: {generated(data)}",
    ]
    if data.before:
        lines.append(f"- Compared with: {wording.period(data.before.first, data.before.last)}")
    lines.append(f"- Provisional days: {data.summary.provisional_days or 'none'}")
    for part in found:
        lines += ["", f"## {markdown(part.title)}", *_blocks(part.blocks, 3, titles)]
    return "\n".join(lines) + "\n"


def _blocks(blocks: Sequence[Block], level: int, titles: Mapping[str, str]) -> Iterator[str]:
    for each in blocks:
        match each:
            case Titled():
                yield from _titled(each.title, each.blocks, level, titles)
            case Choice():
                for panel in each.panels:
                    yield from _titled(panel.title, panel.blocks, level, titles)
            case Lines():
                yield from ("", f"**{markdown(each.title)}**", "")
                for number, line in enumerate(each.lines, start=1):
                    title = titles.get(line.section)
                    yield f"{number}. {markdown(line.text)}{f' ({markdown(title)})' if title else ''}"
            case Audited():
                yield from _audit(each.audit)
            case Said() | Copied() | Points() | Findings():
                yield from ("", *_words(each))
            case _:
                yield from ("", *table(_sheet(each)))


def _words(block: Said | Copied | Points | Findings) -> Iterator[str]:
    match block:
        case Said():
            yield lines_of(block.text)
        case Copied():
            yield from fenced(block.text)
        case Points():
            yield from (f"**{markdown(block.title)}**", "", *(f"- {markdown(point)}" for point in block.points))
        case Findings():
            for one in block.findings:
                yield f"- **{one.severity}** {markdown(f'{one.message} {one.remedy}'.rstrip())}"
            if not block.findings:
                yield "Nothing stands out."


def _sheet(block: Tabled | Picture | Tiles | Journey | Heat) -> Sheet:
    match block:
        case Tabled() | Picture():
            return block.sheet
        case Tiles():
            headings = (Heading("Key figure"), Heading("Value", str), Heading("Days before", str))
            return Sheet("", headings, tuple((tile.name, tile.value, tile.against) for tile in block.tiles))
        case Journey():
            return _journey(block.stages)
        case Heat():
            return _coverage(block.heat)


def _titled(title: str, blocks: Sequence[Block], level: int, titles: Mapping[str, str]) -> Iterator[str]:
    if title:
        yield from ("", f"{'#' * min(level, 6)} {markdown(title)}")
    yield from _blocks(blocks, level + 1 if title else level, titles)


def _journey(stages: Sequence[Stage]) -> Sheet:
    def signals(stage: Stage) -> str:
        named = [f"{signal.name} {signal.seen}" for signal in stage.signals]
        return ", ".join([*named, *([f"and {stage.more} more"] if stage.more else [])]) or "No signal"

    return Sheet(
        "Stages, with what was seen there, what holds people up, and what is missing",
        (Heading("Stage"), Heading("Signals"), Heading("Friction"), Heading("Gaps")),
        tuple(
            (stage.name, signals(stage), " ".join(stage.friction) or "None seen", " ".join(stage.gaps) or "None")
            for stage in stages
        ),
    )


def _coverage(heat: HeatMap) -> Sheet:
    """Count the cells of the heat map: a column for each of 180 days is no table for people."""

    def days(row_cells: Sequence[object], *styles: str) -> int:
        return sum(getattr(cell, "style", "") in styles for cell in row_cells)

    return Sheet(
        "Coverage by day, counted",
        (
            *(Heading("Micro-conversion"), Heading("Days", wording.count), Heading("Low", wording.count)),
            *(Heading("Missing", wording.count), Heading("Without an export", wording.count)),
        ),
        tuple(
            (
                row.micro_conversion,
                len(row.cells),
                days(row.cells, "low"),
                days(row.cells, "missing"),
                days(row.cells, "gap"),
            )
            for row in heat.rows
        ),
    )


def _audit(audit: AuditResult) -> Iterator[str]:
    yield ""
    for each in audit.findings:
        stake = f" {wording.plural(each.at_stake, 'macro-conversion')} at stake." if each.at_stake else ""
        remedy = f" {each.remedy}" if each.remedy and each.counts else ""
        yield f"- **{each.severity}** ({each.status}) {markdown(f'{each.message}{remedy}{stake}')} {markdown(each.id)}"
    if not audit.findings:
        yield "Nothing was found."
    untested = [each for each in audit.checks if each.status == "not_tested"]
    if untested:
        sheet = Sheet(
            "Not tested",
            (Heading("check"), Heading("why")),
            tuple((each.check, each.reason) for each in untested),
        )
        yield from ("", *table(sheet))
