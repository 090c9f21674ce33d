"""The background of the page: ethics, the audit, segments and what was sent of them, where the figures come from."""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.guardrails.ethics import EthicsResult, EthicsState
from microconv.report.blocks import Audited, Block, Points, Said, Tabled
from microconv.report.data import ReportData
from microconv.result import sheet
from microconv.segments.size import SegmentCount, SegmentResult
from microconv.wording import Heading, Sheet


def ethics_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the checklist by segment and experiment: what was answered, what is open, and what that stops."""
    ethics = data.ethics
    if ethics is None or not any(each.is_open or each.answer for each in ethics.answers):
        return
    yield Said(wording.capital(ethics.sentence))
    yield Tabled(_checklist(ethics, does_stop=data.do_ethics_stop))
    if given := [each for each in ethics.answers if each.answer]:
        yield Tabled(sheet("What was answered", given, EthicsState), folded="What was answered, by whom and when")
    questions = tuple(f"{each.id}: {each.question} A bad answer is {each.bad}." for each in ethics.questions)
    yield Points("The questions", questions)
    yield Points("Assumptions", ethics.assumptions)


def _checklist(ethics: EthicsResult, *, does_stop: bool) -> Sheet:
    """Return a row for each segment and experiment, a column for each question."""
    subjects = dict.fromkeys(each.subject for each in ethics.answers)
    states = {(each.subject, each.question): each for each in ethics.answers}
    rows = []
    for subject in subjects:
        of_it = [states[subject, each.id] for each in ethics.questions]
        is_open = any(each.is_open for each in of_it)
        rows.append((subject, "yes" if is_open and does_stop else "no", *(each.state for each in of_it)))
    headings = (Heading("asked about"), Heading("stopped"), *(Heading(each.id) for each in ethics.questions))
    return Sheet("The checklist by segment and experiment", headings, tuple(rows))


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
                    (each.command, each.about or "", "of the page" if each.is_of_period else "its own")
                    for each in data.answers
                    if each.command
                ),
            ),
            folded="The command behind each answer",
        )
    yield from (Tabled(each, folded=each.title) for each in data.lineage[1:])
