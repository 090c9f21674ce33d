"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from microconv.audit.audit_findings import AuditResult
from microconv.errors import UsageError
from microconv.findings import Finding
from microconv.guardrails.ethics import EthicsResult
from microconv.report.dictionary import Dictionary
from microconv.result import Result
from microconv.staging.summary import StagedSummary
from microconv.wording import Sheet

ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True)
class Answered:
    """The answer to one question.

    Attributes:
        question: The question's name in the catalogue.
        answers: What it answers, in the words of the catalogue: "Count sessions by default channel group."
        about: The part of the configuration that it is for ("funnel checkout"), if any.
        result: The result.
        is_of_period: Whether it looks at the days of the page; else at all that are staged.
        command: The command line that asks it, without `microconv`.
    """

    question: str
    answers: str
    about: str | None
    result: Result
    is_of_period: bool = True
    command: str = ""


@dataclass(frozen=True)
class Unanswered:
    """A question that could not be answered: as `Answered`, with the reason in a sentence, and what to do about it."""

    question: str
    answers: str
    about: str | None
    why: str
    remedy: str = ""


@dataclass(frozen=True)
class Days:
    """Some days, the first and the last among them."""

    first: date
    last: date


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows, computed beforehand over the same staged tables.

    Attributes:
        project_name: Whose data it is.
        timezone: The property's reporting time zone (IANA name).
        currency: The unit of every value.
        generated_at: An aware timestamp; the page shows it in the property's zone.
        version: The microconv that made the page.
        summary: What is staged in the days of the page.
        answers: The answers to all questions, in the order of the catalogue; each may be empty.
        export_findings: What the staged export shows, as `microconv.staging.export_findings` says it.
        audit: What the audit of the tracking found; None where none was made.
        unanswered: Questions that could not be answered.
        staged: What is staged in all, where the page is about some days; None: `summary` says it.
        asked: The days that were asked for; None: all that are staged.
        before: As many days before, where all of them are staged; None where nothing is compared.
        summary_before: What is staged in the days before.
        dictionary: The taxonomy with its journey map; None where it is not told.
        ethics: The checklist of ethics with the answers; None where it is not told.
        do_ethics_stop: Whether open questions of it stop what is sent.
        lists: Tables about segments and what was sent of them last.
        lineage: Tables about where the figures come from.
        sections: The sections to show, in their order, by id or by the name of a question; empty: all.

    Raises:
        UsageError: `generated_at` has no time zone.
    """

    project_name: str
    timezone: str
    currency: str
    generated_at: datetime
    version: str
    summary: StagedSummary
    answers: tuple[Answered, ...]
    export_findings: tuple[Finding, ...] = ()
    audit: AuditResult | None = None
    unanswered: tuple[Unanswered, ...] = ()
    staged: StagedSummary | None = None
    asked: Days | None = None
    before: Days | None = None
    summary_before: StagedSummary | None = None
    dictionary: Dictionary | None = None
    ethics: EthicsResult | None = None
    do_ethics_stop: bool = True
    lists: tuple[Sheet, ...] = ()
    lineage: tuple[Sheet, ...] = ()
    sections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.generated_at.utcoffset() is None:
            raise UsageError(
                "The report's generated_at has no time zone.",
                hint="Pass an aware timestamp, such as datetime.now(UTC).",
            )

    def results(self, kind: type[ResultT]) -> tuple[ResultT, ...]:
        """Return the results of one class."""
        return tuple(answer.result for answer in self.answers if isinstance(answer.result, kind))

    def result(self, kind: type[ResultT]) -> ResultT | None:
        """Return the first result of a class; None when there is none."""
        return next(iter(self.results(kind)), None)
