"""A destination that keeps its lists in a database beside the configuration, so that another process can look.

A mock, since no vendor can be reached. Orders from the environment: `LIST_FAULT` names what goes wrong, `LIST_AT` at
which request of the process (from 1).
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from microconv.activation.audience.normalise import GOOGLE
from microconv.activation.destinations.base import (
    Accepts,
    Destination,
    DestinationSettings,
    Forgotten,
    ListFacts,
)
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.errors import DestinationError, UsageError
from microconv.findings import Finding, ok, warning

TABLES = """
CREATE TABLE IF NOT EXISTS listed (segment TEXT, kind TEXT, value TEXT, PRIMARY KEY (segment, kind, value));
CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY, push_id TEXT, operation TEXT, identifiers INTEGER);
"""


class LedgerSettings(DestinationSettings):
    kind: Literal["ledger"] = "ledger"
    path: Path
    batch: int = 2
    lifespan_days: int | None = None
    tells: bool = False


class LedgerDestination(Destination):
    settings_type = LedgerSettings
    settings: LedgerSettings
    accepts = Accepts("ledger", frozenset({"email", "phone"}), GOOGLE, with_address=True)

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> KeptList:
        if segment == "forbidden":
            raise UsageError("That segment cannot go there.", hint="Rename it.")
        assert facts is None or facts["plan"]
        return KeptList(self.settings, segment, push_id)

    def check_ready(self) -> None:
        self._fail("credentials")

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        if self.settings.tells:
            yield ok(f"lists of {', '.join(segments)}.")
            self._fail("examine")
            yield warning("the list is small.", "Let it grow.")

    def list_facts(self, segment: str) -> ListFacts | None:
        self._fail("facts")
        if not self.settings.tells:
            return None
        people = len(listed(self.settings.path, segment))
        return ListFacts(people, 0.5, is_open=people > 1, notes=("too small to serve.", "a name\x1b[2J"))

    def validate(self, segment: str, operation: Operation, identifiers: Sequence[Identifier]) -> Answer | None:
        if not self.settings.tells:
            return None
        with open_list(self.settings.path.with_name("validated.sqlite")) as database:
            database.execute(
                "INSERT INTO requests (push_id, operation, identifiers) VALUES (?, ?, ?)",
                [segment, operation, len(identifiers)],
            )
        match os.environ.get("LIST_FAULT"):
            case "refuse":
                raise RefusedError("terms not signed")
            case "refuse_rows":
                raise RefusedError("wrong format", rows=[1, 1, 99])
            case "refuse_some":
                raise RefusedError("wrong format", rows=None)
            case "later":
                raise TryLaterError("too many requests")
        return Answer("success")

    def forget(self, user_ids: Sequence[str], devices: Sequence[object] = ()) -> Forgotten | None:  # noqa: ARG002 - none
        self._fail("forget")
        if not self.settings.tells:
            return None
        self.settings.path.with_name("forgotten").write_text("\n".join(user_ids))
        return Forgotten("users", len(user_ids))

    def _fail(self, at: str) -> None:
        if os.environ.get("LIST_FAULT") == at:
            raise DestinationError(f"There is no answer to {at}.", hint="Try again later.")
        if os.environ.get("LIST_FAULT") == f"{at}_breaks":
            raise KeyError(at)


class KeptList:
    asked = 0

    def __init__(self, settings: LedgerSettings, segment: str, push_id: str) -> None:
        self.settings, self.segment, self.push_id = settings, segment, push_id

    @property
    def limits(self) -> ListLimits:
        days = self.settings.lifespan_days
        return ListLimits(
            most_identifiers=self.settings.batch,
            settles_after=timedelta(0),
            answers_for=timedelta(days=1),
            lifespan=None if days is None else timedelta(days=days),
        )

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        KeptList.asked += 1
        fault = os.environ.get("LIST_FAULT", "") if KeptList.asked == int(os.environ.get("LIST_AT", "1")) else ""
        self._before(fault)
        with open_list(self.settings.path) as database:
            rows = [(self.segment, each.kind, each.value) for each in identifiers]
            if operation == "add":
                database.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?, ?)", rows)
            else:
                database.executemany("DELETE FROM listed WHERE segment = ? AND kind = ? AND value = ?", rows)
            done = database.execute(
                "INSERT INTO requests (push_id, operation, identifiers) VALUES (?, ?, ?)",
                [self.push_id, operation, len(rows)],
            )
        if fault == "kill_after":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "lost":
            raise UnsureError("the answer was lost")
        return Answer("accepted", str(done.lastrowid))

    def _before(self, fault: str) -> None:
        if fault == "kill_before":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "refuse":
            raise RefusedError("quota exceeded")
        if fault == "later":
            raise TryLaterError("too many requests", retry_after=timedelta(milliseconds=1))
        if fault == "deny":
            consent = self.settings.path.with_name("consent.csv")
            consent.write_text(consent.read_text().replace("u1,granted", "u1,denied"))
        if fault == "wait":
            self.settings.path.with_name("waiting").touch()
            time.sleep(60)

    def finish(self) -> None:
        """Do nothing."""

    def ask(self, request_id: str) -> Answer:
        return Answer("accepted" if os.environ.get("LIST_FAULT") == "slow" else "success", request_id)

    def now(self) -> datetime | None:
        return None


def open_list(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    return database


def listed(path: Path, segment: str) -> set[str]:
    """What is on a list now."""
    with open_list(path) as database:
        return {row[0] for row in database.execute("SELECT value FROM listed WHERE segment = ?", [segment])}


def requests(path: Path) -> list[tuple[str, int]]:
    """The requests that were done, in their order: operation and how many identifiers."""
    with open_list(path) as database:
        return list(database.execute("SELECT operation, identifiers FROM requests ORDER BY id"))
