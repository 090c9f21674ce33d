"""Facts of what is staged: how often something holds, kept with the run that asked, and read into findings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Self

from microconv import wording
from microconv.config.sections import Config
from microconv.findings import Finding
from microconv.queries.templates import Query


@dataclass(frozen=True)
class Fact:
    """One row of `sql/operations/export_facts.sql`: how often something holds, of how many, and what it amounts to."""

    fact: str
    subject: str
    occurrences: int
    of_all: int
    amount: float | None = None

    @property
    def share(self) -> str:
        """Say how many of all that is: `3 of 10`."""
        return f"{wording.count(self.occurrences)} of {wording.count(self.of_all)}"


@dataclass(frozen=True)
class Facts:
    """All facts of the staged export. A run keeps them with what they were asked by, so that they are asked once."""

    rows: tuple[Fact, ...]

    def of(self, name: str) -> tuple[Fact, ...]:
        """Return the facts of that name."""
        return tuple(row for row in self.rows if row.fact == name)

    def text(self, asked: Query) -> str:
        """Write them as mc_runs keeps them."""
        return json.dumps({"query": _fingerprint(asked), "facts": [asdict(row) for row in self.rows]})

    @classmethod
    def read(cls, text: str | None, asked: Query) -> Self | None:
        """Read what a run kept; None where it kept nothing, or was asked otherwise than today."""
        kept = json.loads(text) if text else {}
        if kept.get("query") != _fingerprint(asked):
            return None
        return cls(tuple(Fact(**row) for row in kept["facts"]))


Reader = Callable[[Facts, Config], Iterable[Finding]]
"""Turns facts into findings: those that the reader of this configuration's results should know."""


def _fingerprint(asked: Query) -> str:
    return hashlib.sha256(f"{asked.sql} {sorted(asked.params.items())}".encode()).hexdigest()[:16]
