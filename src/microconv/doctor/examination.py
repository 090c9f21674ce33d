"""What an examination by the doctor is, and how it says what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from microconv.doctor.patient import Patient
from microconv.errors import MicroconvError
from microconv.findings import Finding


def to_do(error: MicroconvError, grant: str = "the permission that is missing") -> str:
    """Say what to grant where BigQuery denied access; otherwise what the error itself says."""
    # By its name: whoever never talks to BigQuery need not load its client.
    is_denied = any(kind.__name__ == "Forbidden" for kind in type(error.__cause__).__mro__)
    return f"Grant {grant}: docs/bigquery.md." if is_denied else error.hint


@dataclass(frozen=True)
class Examination:
    """One examination.

    Attributes:
        name: Its name.
        subject: What it looks at.
        look: Looks, and says what it found: one finding, or several that each want something else done.
        needs: Examinations that must have passed before: otherwise there is nothing to look at.
    """

    name: str
    subject: str
    look: Callable[[Patient], Finding | tuple[Finding, ...]]
    needs: tuple[str, ...] = ("configuration",)

    def named(self, finding: Finding) -> Finding:
        """Return what its look found, under its name."""
        return replace(finding, check=self.name, subject=self.subject)
