"""The sections of the page in reading order, and which of them a report shows.

A question needs nothing here: its answers are shown as they are, in a section named after it. One that belongs with
others is named in `SECTIONS`; one whose results are worth a picture gets a function that makes blocks of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from microconv import wording
from microconv.config.problems import nearest
from microconv.errors import ConfigError
from microconv.report.attribution_section import attribution_blocks
from microconv.report.background_sections import audit_blocks, ethics_blocks, lineage_blocks, segment_blocks
from microconv.report.blocks import Block, Copied, Part, Points, Said, Tabled, Titled
from microconv.report.data import Answered, ReportData, Unanswered
from microconv.report.funnel_section import funnel_blocks
from microconv.report.insight_sections import lift_blocks, momentum_blocks, propensity_blocks, threshold_blocks
from microconv.report.journey_section import journey_blocks
from microconv.report.overview import attention_blocks, overview_blocks
from microconv.report.path_section import path_blocks
from microconv.report.priorities_section import priority_blocks
from microconv.report.traffic_sections import channel_blocks, coverage_blocks
from microconv.report.trend_section import trend_blocks
from microconv.wording import Sheet, Verbatim

NAMED_AFTER = "answers-"
"""What the anchor of a section that is named after its question begins with."""


class PageSection(NamedTuple):
    """A section of the page.

    Attributes:
        id: Its anchor, and its name in the configuration.
        title: Its heading.
        view: What makes blocks of the data, if anything.
        viewed: Questions of the catalogue whose answers `view` shows.
        as_they_are: Questions whose answers follow as the terminal shows them.
        needs: Questions whose answers `view` uses as well, and that other sections show.
        nothing: What it says where there is nothing to show; empty: then it is left out.
    """

    id: str
    title: str
    view: Callable[[ReportData], Iterator[Block]] | None = None
    viewed: tuple[str, ...] = ()
    as_they_are: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    nothing: str = ""

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions that it shows."""
        return (*self.viewed, *self.as_they_are)


SECTIONS: tuple[PageSection, ...] = (
    PageSection(
        "overview",
        "Overview",
        overview_blocks,
        needs=(
            *("changes", "prioritize", "guardrails", "funnel", "funnel_comparison"),
            *("lift", "coverage", "channels", "attribution"),
        ),
    ),
    PageSection(
        "attention",
        "What needs attention",
        attention_blocks,
        needs=("funnel", "coverage", "channels", "attribution"),
    ),
    PageSection("priorities", "What to do first", priority_blocks, viewed=("prioritize",)),
    PageSection("trend", "Trend and leading indicators", trend_blocks, viewed=("changes", "leading")),
    PageSection(
        "journey",
        "Journey map",
        journey_blocks,
        viewed=("hesitation",),
        needs=("coverage", "stage_times", "funnel_drop_off"),
    ),
    PageSection(
        "funnels",
        "Funnels",
        funnel_blocks,
        viewed=("funnel", "funnel_drop_off", "funnel_times", "funnel_comparison"),
        nothing="No funnels are configured. Each [[funnels]] table in the configuration adds one.",
    ),
    PageSection("paths", "Paths to the goal", path_blocks, viewed=("path_links",)),
    PageSection("attribution", "Attribution", attribution_blocks, viewed=("attribution", "attribution_comparison")),
    PageSection("channels", "Sessions by channel", channel_blocks, viewed=("channels",)),
    PageSection("lift", "What goes with more conversions", lift_blocks, viewed=("lift",)),
    PageSection("thresholds", "How often is enough", threshold_blocks, viewed=("thresholds",)),
    PageSection("combinations", "Combinations", as_they_are=("combinations",)),
    PageSection(
        "momentum",
        "Momentum",
        momentum_blocks,
        viewed=("momentum",),
        as_they_are=("momentum_weeks", "stage_times", "wavering", "momentum_score"),
    ),
    PageSection("propensity", "Propensity", propensity_blocks, viewed=("propensity",)),
    PageSection("content", "Content", as_they_are=("content",)),
    PageSection("experiments", "Experiments", as_they_are=("experiment_read",)),
    PageSection("guardrails", "Guardrails", as_they_are=("guardrails",)),
    PageSection("ethics", "Checklist of ethics", ethics_blocks),
    PageSection("what_if", "What more of a step would bring", as_they_are=("what_if",)),
    PageSection("value", "What buyers are worth", as_they_are=("lifetime_value", "retention_cohorts", "post_sale")),
    PageSection("audit", "Audit of the tracking", audit_blocks),
    PageSection("coverage", "Coverage by day", coverage_blocks, viewed=("coverage",)),
    PageSection("segments", "Segments and last pushes", segment_blocks, viewed=("segment",)),
    PageSection("lineage", "Assumptions and lineage", lineage_blocks),
)
"""The sections in reading order. Those that are named after a question come before the audit."""

HEADINGS = {
    "momentum_weeks": "From week to week",
    "stage_times": "How long stages take",
    "wavering": "Where people hesitate or turn back",
    "momentum_score": "Whether momentum foretells who converts",
    "lifetime_value": "What a buyer is worth",
    "retention_cohorts": "Who buys again",
    "post_sale": "What follows the sale",
}
"""Headings of questions that stand with others; of those not named here, what the catalogue says that they answer."""

BACKGROUND = "audit"
"""The first of the sections that say how far the figures can be relied on, and where they come from."""


def within_sections() -> frozenset[str]:
    """Return the questions that have a place in a section."""
    return frozenset(question for section in SECTIONS for question in section.questions)


def questions_needed(names: Sequence[str]) -> frozenset[str] | None:
    """Return the questions that sections of these names need; None for all sections."""
    if not names:
        return None
    by_id = {section.id: section for section in SECTIONS}
    return frozenset(
        question
        for name in names
        for question in ((*by_id[name].questions, *by_id[name].needs) if name in by_id else (name,))
    )


def check_sections(names: Sequence[str], questions: Sequence[str]) -> None:
    """Refuse names that are neither a section's nor that of a question with a section of its own.

    Raises:
        ConfigError: One is; the message says which there are.
    """
    within = within_sections()
    known = [*(section.id for section in SECTIONS), *(name for name in questions if name not in within)]
    for name in names:
        if name not in known:
            raise ConfigError(
                f'report.sections names "{name}", which is no section of the report{nearest(name, known)}.',
                hint=f"There are: {', '.join(known)}.",
            )


def parts(data: ReportData) -> tuple[Part, ...]:
    """Return the sections that have something to show, in the order of the page."""
    found = [Part(each.id, each.title, blocks) for each in SECTIONS if (blocks := tuple(_blocks(each, data)))]
    within = within_sections()
    alone: dict[str, list[Answered | Unanswered]] = {}
    told: list[Answered | Unanswered] = [*data.answers, *data.unanswered]
    for one in told:
        if one.question not in within:
            alone.setdefault(one.question, []).append(one)
    own = [
        Part(f"{NAMED_AFTER}{question}", answers[0].answers.removesuffix("."), tuple(_told(answers, data)))
        for question, answers in alone.items()
    ]
    order = [section.id for section in SECTIONS]
    background = order[order.index(BACKGROUND) :]
    ordered = [
        *(part for part in found if part.id not in background),
        *own,
        *(part for part in found if part.id in background),
    ]
    if not data.sections:
        return tuple(ordered)
    by_name = {part.id.removeprefix(NAMED_AFTER): part for part in ordered}
    return tuple(by_name[name] for name in data.sections if name in by_name)


def _blocks(section: PageSection, data: ReportData) -> Iterator[Block]:
    blocks = list(section.view(data)) if section.view else []
    if not blocks and section.nothing:
        blocks = [Said(section.nothing)]
    others: list[Answered | Unanswered] = [
        each for name in section.as_they_are for each in data.answers if each.question == name
    ]
    failed = [each for each in data.unanswered if each.question in section.questions]
    yield from blocks
    yield from _told([*others, *failed], data, is_first=not blocks)


def _told(told: Sequence[Answered | Unanswered], data: ReportData, *, is_first: bool = True) -> Iterator[Block]:
    """Show answers as the terminal shows them, each under what it answers and is about, where that is not clear."""
    several = len({each.question for each in told}) > 1 or not is_first
    for each in told:
        about = wording.capital(each.about or "")
        title = HEADINGS.get(each.question, each.answers.removesuffix(".")) if several else ""
        blocks = tuple(answer_blocks(each, data) if isinstance(each, Answered) else _why(each))
        yield Titled(": ".join(filter(None, (title, about))), blocks)


def _why(each: Unanswered) -> Iterator[Block]:
    yield Said(f"This could not be answered: {each.why} {each.remedy}".rstrip())


def answer_blocks(answer: Answered, data: ReportData) -> Iterator[Block]:
    """Yield what a result shows: its sentence, its tables and remarks, and what they rest on."""
    if answer.result.sentence:
        yield Said(answer.result.sentence)
    if data.asked and not answer.is_of_period:
        yield Said("This has days of its own, whatever the days of the page.", is_aside=True)
    for each in answer.result.sheets():
        if isinstance(each, Sheet):
            yield Tabled(each)
        elif isinstance(each, Verbatim):
            yield Copied(each)
        else:
            yield Said(each)
    if answer.result.assumptions:
        yield Points("Assumptions", answer.result.assumptions)
