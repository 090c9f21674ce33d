"""One small segment that every test of the exporter can bend."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.audience_plan import AudiencePlan, plan_audience
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.activation.export import ExportResult, export
from microconv.question import section_of
from microconv.segments.members import Member

NOBODY = 65534
SEVERAL_KINDS = ["google_ads", "meta", "csv", "jsonl"]
"""Formats that have identifiers of several kinds in one file, below names; of the others: test_audience_formats.py."""
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

    def shuffled(self) -> Segment:
        """Return the same in another order, always the same one."""
        shuffler = random.Random(7)
        members, people, consents = (
            tuple(shuffler.sample(rows, len(rows))) for rows in (self.members, self.people, self.consents)
        )
        return replace(self, members=members, people=people, consents=consents)

    def plan(self, destination: Destination, **options: Any) -> AudiencePlan:
        """Plan to send by e-mail address, unless told otherwise."""
        defaults: dict[str, Any] = {
            "now": NOW,
            "segment": "ready-to-buy",
            "identity": ("email",),
            "lineage": {"rule": "add_to_cart", "as_of": date(2026, 2, 28)},
        }
        where = {"destination": destination.settings.name, "accepts": destination.accepts}
        return plan_audience(self.members, self.people, self.consents, **where, **defaults | options)

    def export_to(self, destination: Destination, **options: Any) -> ExportResult:
        """Plan and export."""
        given = {"run_id": "run/1", "now": NOW} | self.options | options
        of_the_export = ("run_id", "now", "max_delete_pct", "allow_shrink", "allow_stale", "dry_run", "has_user_ids")
        of_the_plan = {key: given[key] for key in given if key not in of_the_export or key == "now"}
        planned = self.plan(destination, **of_the_plan)
        return export(planned, destination, **{key: given[key] for key in of_the_export if key in given})

    def export(self, **options: Any) -> ExportResult:
        """Export to the file destination, as `jsonl` unless told otherwise."""
        keys: dict[str, Any] = {"name": "file", "format": "jsonl", "path": self.folder}
        for key, option in (("name", "destination"), ("format", "format"), ("path", "folder")):
            if option in options:
                keys[key] = options.pop(option)
        return self.export_to(FileDestination(section_of(FileSettings, keys)), **options)


def file_of(result: ExportResult) -> Path:
    """Return the audience file of an export."""
    return Path(result.target.facts["path"])


def manifest_of(result: ExportResult) -> Path:
    """Return the manifest of an export."""
    return Path(result.target.facts["manifest"])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return what the files of a folder hold, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} if folder.is_dir() else {}


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


RAW = ["Maria.Nasty", "maria.nasty@", "5550100", "Nastyname", "Verylast", "user-secret-77", "=cmd|' /C calc'!A0"]


def nasty(segment: Segment) -> Segment:
    """People whose values are valid, invalid and hostile; each value can be searched for."""
    full = {"first_name": "Nastyname", "last_name": "Verylast", "country": "US"}
    return (
        segment.with_user("user-secret-77", "granted", email="Maria.Nasty@example.com", phone="+18005550100", **full)
        .with_user("user-secret-772", "granted", email="Maria.Nasty@@example.com", phone="+1 5550100", **full)
        .with_user("user-secret-773", "denied", email="maria.nasty@other.example", **full)
        .with_user("user-secret-774", "granted", email="=cmd|' /C calc'!A0", phone="=cmd|' /C calc'!A0")
        .with_user("user-secret-775", "granted", email="\ud800maria.nasty@example.com", **full)
    )


def assert_nothing_raw(text: str) -> None:
    found = [value for value in RAW if value.lower() in text.lower()]
    assert not found
