"""What a check says: one finding, the same in the doctor, in the report, in a terminal and in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "note", "not_tested", "ok"]
"""How bad it is, the worst first.

`error`: numbers are wrong or missing, or something cannot run. `warning`: take care. `note`: good to know.
`not_tested`: there was nothing to look at, or it could not be looked at, which is not a pass. `ok`: all is well.
"""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was checked, a stable name.
        severity: How bad it is.
        message: What was found, a sentence or two; why, where it was not tested.
        remedy: What to do about it; empty where there is nothing to do.
        subject: What it is about: what was looked at, or a micro-conversion, a funnel, a channel group.
    """

    check: str
    severity: Severity
    message: str
    remedy: str = ""
    subject: str = ""

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the attributes."""
        return asdict(self)


def ok(message: str) -> Finding:
    """Say that all is well."""
    return Finding("", "ok", message)


def warning(message: str, remedy: str) -> Finding:
    """Say what needs care, though things can run."""
    return Finding("", "warning", message, remedy)


def fault(message: str, remedy: str) -> Finding:
    """Say what keeps something from running, or made it fail the last time."""
    return Finding("", "error", message, remedy)


def not_tested(reason: str) -> Finding:
    """Say why there was nothing to look at."""
    return Finding("", "not_tested", reason)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity; those of one severity keep their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
