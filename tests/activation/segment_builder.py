"""One small segment that every test of the exporter can bend."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.destinations.file import ExportResult, export_audience
from microconv.segments.members import Member

NOBODY = 65534
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Segment:
    """Members, people and consents that belong together, with one call that exports them."""

    folder: Path
    members: tuple[Member, ...] = ()
    people: tuple[Person, ...] = ()
    consents: tuple[ConsentRecord, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def with_user(self, user_id: str | None, *answers: str, **person: str | None) -> Segment:
        """Add a member, one consent row per answer ("granted", "denied"), and an identity row if given any value."""
        consents = tuple(
            ConsentRecord(user_id or "", answer, answer, f"2026-01-{day:02d}T00:00:00Z")
            for day, answer in enumerate(answers, start=1)
        )
        people = (Person(user_id or "", **person),) if person else ()
        return replace(
            self,
            members=(*self.members, Member(len(self.members) + 1, user_id)),
            people=self.people + people,
            consents=self.consents + consents,
        )

    def with_users(self, count: int) -> Segment:
        """Add people who consented and have an e-mail address each."""
        start = len(self.members)
        return functools.reduce(
            lambda segment, number: segment.with_user(f"u{number}", "granted", email=f"user{number}@example.com"),
            range(start, start + count),
            self,
        )

    def export(self, **options: Any) -> ExportResult:
        """Export as `jsonl` by e-mail address, unless told otherwise."""
        defaults: dict[str, Any] = {
            "segment": "ready-to-buy",
            "format": "jsonl",
            "folder": self.folder,
            "identity": ("email",),
            "run_id": "run/1",
            "now": NOW,
            "lineage": {"rule": "add_to_cart", "as_of": date(2026, 2, 28)},
        }
        return export_audience(self.members, self.people, self.consents, **defaults | self.options | options)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read an audience or reject file the way a platform would: by its keys or its header."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(text.splitlines()))


@contextlib.contextmanager
def unprivileged() -> Iterator[Path]:
    """Give an own folder, and give up root inside the block: permissions do not bind root.

    What the product imports lazily must be imported before: the interpreter itself may lie where only root can read.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        was_root = os.geteuid() == 0
        if was_root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o700)
