"""What an audit says: its findings, ranked by what is at stake, and what became of each check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal

from microconv import wording
from microconv.audit.checks import AREAS
from microconv.errors import FindingsError
from microconv.findings import SEVERITIES, Severity
from microconv.result import Result, column
from microconv.wording import Heading, Sheet

Status = Literal["new", "still", "accepted", "gone"]
"""Against the audit before: not there then, still there, accepted by somebody, or there then and not now."""
CheckStatus = Literal["passed", "failed", "not_tested"]
FailOn = Literal["error", "warning", "never"]

_SIGNS: dict[Severity, str] = {"error": "ERROR", "warning": "WARNING", "note": "note"}


@dataclass(frozen=True)
class AuditFinding:
    """One fault, in words and figures.

    Attributes:
        id: Its fingerprint; an ongoing fault keeps it.
        check: The check that found it.
        severity: How bad it is.
        subject: What it is about.
        first_date: Its first day; None where it is of no day.
        last_date: Its last day.
        count: Rows concerned.
        share: Their share of the rows looked at; None where none were.
        at_stake: Macro-conversions of the days concerned, in proportion to the share of rows concerned.
        value_at_stake: Their value, in the project's currency.
        message: What was found.
        remedy: What to do about it.
        query: The SQL that shows it.
        status: What the audit before knew of it.
        reason: Why it was accepted, if it was.
    """

    id: str = column("id", is_whole=True)
    check: str = column("check")
    severity: Severity = column("severity")
    subject: str = column("subject")
    first_date: date | None = column("first day")
    last_date: date | None = column("last day")
    count: int = column("rows", wording.count)
    share: float | None = column("share", wording.share)
    at_stake: int = column("at stake", wording.count)
    value_at_stake: float = column("value at stake", wording.cents)
    message: str = column("finding")
    remedy: str = column("remedy")
    query: str = column("query")
    status: Status = column("status")
    reason: str = column("accepted because", default="")

    @property
    def counts(self) -> bool:
        """Whether it is there and nobody accepted it."""
        return self.status in ("new", "still")

    @property
    def place(self) -> tuple[int, int, int, str, str]:
        """By what findings are ranked: those that count first, then severity, what is at stake, and how many rows."""
        order = SEVERITIES.index(self.severity) + (0 if self.counts else len(SEVERITIES))
        return order, -self.at_stake, -self.count, self.check, self.id


@dataclass(frozen=True)
class CheckOutcome:
    """What became of a check.

    Attributes:
        check: Its name.
        area: Its area.
        status: Passed, failed, or not tested, which is not a pass.
        seconds: How long it took.
        findings: How many findings it has that nobody accepted.
        reason: Why it was not tested.
    """

    check: str
    area: str
    status: CheckStatus
    seconds: float
    findings: int
    reason: str = ""


@dataclass(frozen=True)
class AuditResult(Result):
    """An audit: findings by rank, and each check with what became of it."""

    row_type: ClassVar[type] = AuditFinding

    findings: tuple[AuditFinding, ...]
    checks: tuple[CheckOutcome, ...]
    fail_on: FailOn
    sentence: str
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[AuditFinding, ...]:
        """The findings."""
        return self.findings

    def counted(self, severity: Severity) -> int:
        """Return how many findings of a severity are there and not accepted."""
        return sum(each.counts and each.severity == severity for each in self.findings)

    @property
    def failing(self) -> tuple[AuditFinding, ...]:
        """The findings that must stop a pipeline."""
        if self.fail_on == "never":
            return ()
        bad = SEVERITIES[: SEVERITIES.index(self.fail_on) + 1]
        return tuple(each for each in self.findings if each.counts and each.severity in bad)

    @property
    def passed(self) -> bool:
        """Whether no finding stops a pipeline."""
        return not self.failing

    @property
    def by_area(self) -> tuple[tuple[str, tuple[CheckOutcome, ...]], ...]:
        """The heading of each area with its checks, in the order in which areas are told."""
        areas = ((heading, tuple(each for each in self.checks if each.area == area)) for area, heading in AREAS.items())
        return tuple((heading, of_area) for heading, of_area in areas if of_area)

    def stop(self) -> FindingsError | None:
        """Return what must stop a pipeline, if anything."""
        if self.passed:
            return None
        names = list(dict.fromkeys(each.check for each in self.failing))
        return FindingsError(
            f"The audit found {wording.plural(len(self.failing), self.fail_on)}"
            f"{' or worse' if self.fail_on != 'error' else ''}: {wording.listed(names)}.",
            hint="`microconv audit show CHECK` says what a check means and shows its query; "
            "`microconv audit accept FINDING` takes one that is known out of the count.",
        )

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the findings by rank, what was accepted or is gone, and what was not tested."""
        if counted := [each for each in self.findings if each.counts]:
            yield Sheet("Findings", _HEADINGS, tuple(row for each in counted for row in _lines(each)))
        for status, title in (("accepted", "Accepted"), ("gone", "Gone since the last audit")):
            if some := [each for each in self.findings if each.status == status]:
                yield Sheet(title, _HEADINGS, tuple(row for each in some for row in _lines(each, with_remedy=False)))
        if untested := [each for each in self.checks if each.status == "not_tested"]:
            yield Sheet(
                "Not tested",
                (Heading("check"), Heading("why")),
                tuple((each.check, each.reason) for each in untested),
            )

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "passed": self.passed,
            "findings": [_finding_document(each) for each in self.findings],
            "checks": [
                {
                    "check": each.check,
                    "area": each.area,
                    "status": each.status,
                    "seconds": round(each.seconds, 3),
                    "findings": each.findings,
                    "reason": each.reason,
                }
                for each in self.checks
            ],
            "sentence": self.sentence,
            "assumptions": list(self.assumptions),
        }


_HEADINGS = (Heading(""), Heading("id", is_whole=True), Heading("finding, and what to do"), Heading("at stake"))


def _lines(finding: AuditFinding, *, with_remedy: bool = True) -> Iterator[tuple[str, str, str, str]]:
    stake = wording.count(finding.at_stake) if finding.at_stake else ""
    new = "new: " if finding.status == "new" else ""
    yield _SIGNS[finding.severity], finding.id, f"{new}{finding.message}", stake
    if with_remedy and finding.remedy:
        yield "", "", finding.remedy, ""
    if finding.reason:
        yield "", "", f"Accepted: {finding.reason}", ""


def _finding_document(finding: AuditFinding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "check": finding.check,
        "severity": finding.severity,
        "subject": finding.subject,
        "first_date": finding.first_date.isoformat() if finding.first_date else None,
        "last_date": finding.last_date.isoformat() if finding.last_date else None,
        "count": finding.count,
        "share": finding.share,
        "at_stake": finding.at_stake,
        "value_at_stake": finding.value_at_stake,
        "message": finding.message,
        "remedy": finding.remedy,
        "query": finding.query,
        "status": finding.status,
        "reason": finding.reason,
    }


def sentence(findings: Sequence[AuditFinding], checks: Sequence[CheckOutcome]) -> str:
    """Return what an audit says in a sentence."""
    there = [each for each in findings if each.counts]
    parts = [
        wording.plural(number, noun)
        for severity, noun in (("error", "error"), ("warning", "warning"), ("note", "note"))
        if (number := sum(each.severity == severity for each in there))
    ]
    made = sum(each.status != "not_tested" for each in checks)
    said = f"{wording.plural(made, 'check')} made: {wording.listed(parts) if parts else 'nothing found'}."
    untested = len(checks) - made
    more = f" {wording.plural(untested, 'check')} could not be made." if untested else ""
    accepted = sum(each.status == "accepted" for each in findings)
    return said + more + (f" {wording.plural(accepted, 'finding')} accepted." if accepted else "")
