"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from microconv.audit.audit_findings import AuditResult
from microconv.errors import UsageError
from microconv.findings import Finding
from microconv.result import Result
from microconv.staging.summary import StagedSummary

ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True)
class Answered:
    """The answer to one question.

    Attributes:
        question: The question's name in the catalogue.
        answers: What it answers, in the words of the catalogue: "Count sessions by default channel group."
        about: The part of the configuration that it is for ("funnel checkout"), if any.
        result: The result.
    """

    question: str
    answers: str
    about: str | None
    result: Result


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows, computed beforehand over the same staged tables.

    Attributes:
        project_name: Whose data it is.
        timezone: The property's reporting time zone (IANA name).
        currency: The unit of every value.
        generated_at: An aware timestamp; the page shows it in the property's zone.
        version: The microconv that made the page.
        summary: What is staged in all.
        answers: The answers to all questions, in the order of the catalogue; each may be empty.
        export_findings: What the staged export shows, as `microconv.staging.export_findings` says it.
        audit: What the audit of the tracking found; None where none was made.

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
