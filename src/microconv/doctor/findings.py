"""What a check of the doctor says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from microconv.doctor.patient import Patient
from microconv.errors import MicroconvError

Status = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """What was found, and what to do about it."""

    status: Status
    found: str
    hint: str = ""


def ok(found: str) -> Verdict:
    """Say that all is well."""
    return Verdict("ok", found)


def warning(found: str, hint: str) -> Verdict:
    """Say what should be looked at, though a sync may run."""
    return Verdict("warning", found, hint)


def failure(found: str, hint: str) -> Verdict:
    """Say what keeps a sync from running, or made the last one fail."""
    return Verdict("failure", found, hint)


def skipped(reason: str) -> Verdict:
    """Say why there was nothing to look at."""
    return Verdict("skipped", reason)


def to_do(error: MicroconvError, grant: str = "the right that is missing") -> str:
    """Say what to grant where BigQuery denied access, and else what the error says itself."""
    # By its name: who never talks to BigQuery need not load its client.
    is_denied = any(kind.__name__ == "Forbidden" for kind in type(error.__cause__).__mro__)
    return f"Grant {grant}: docs/bigquery.md." if is_denied else error.hint


@dataclass(frozen=True)
class Check:
    """One check: `needs` are checks that must not have failed, or there is nothing to look at."""

    name: str
    looked_at: str
    look: Callable[[Patient], Verdict]
    needs: tuple[str, ...] = ("configuration",)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    status: Status
    looked_at: str
    found: str
    hint: str

    def document(self) -> dict[str, Any]:
        """Return the JSON document: `check`, `status`, `looked_at`, `found`, `hint`."""
        return asdict(self)
