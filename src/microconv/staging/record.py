"""The row of mc_runs that a sync keeps up to date about itself."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from microconv.config.sections import Config
from microconv.engines.base import Engine, PutRow
from microconv.errors import MicroconvError
from microconv.staging import mc_tables
from microconv.staging.runs import Run, list_runs
from microconv.taxonomy import Taxonomy
from microconv.version import __version__

_LOOKED_AT = 100
"""More killed runs than that cannot gather: each run closes those before it."""


def fingerprint(config: Config) -> str:
    """Fingerprint a configuration, the same wherever its folder lies."""
    sections = {name: getattr(config, name) for name in type(config).model_fields if name != "file"}
    text = repr(sections).replace(str(config.file.parent), ".")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def new_run_id(now: datetime, what: str = "") -> str:
    """Return an id: `now` in UTC to the microsecond, `what`, and six random digits.

    Ids in the order of their text are in the order of their moments: whoever works off folders named after them (the
    files of pushes: one adds a person, the next takes it off) goes by their names.
    """
    return "-".join(filter(None, (f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}", what, secrets.token_hex(3))))


def process_owner() -> str:
    """Say who runs something here: host and process."""
    return f"{socket.gethostname()} process {os.getpid()}"


class RunRecord:
    """What is known of a run so far; `row` holds the columns of mc_runs."""

    def __init__(self, engine: Engine, config: Config, taxonomy: Taxonomy, now: Callable[[], datetime]) -> None:
        """Begin a record under a new id; nothing is written yet."""
        self._engine = engine
        self._now = now
        self._started = time.monotonic()
        started_at = now()
        self.row: dict[str, Any] = {
            "run_id": new_run_id(started_at),
            "started_at": started_at,
            "ended_at": None,
            "owner": process_owner(),
            "version": __version__,
            "config_fingerprint": fingerprint(config),
            "taxonomy": f"{taxonomy.name} {taxonomy.version}",
            "taxonomy_fingerprint": taxonomy.fingerprint,
            "shards_staged": 0,
            "duplicates_removed": 0,
            "bytes_billed": 0,
        }

    @property
    def run_id(self) -> str:
        """The id of the run: its UTC start and six random digits."""
        return str(self.row["run_id"])

    @property
    def owner(self) -> str:
        """Who runs it: host and process."""
        return str(self.row["owner"])

    @property
    def seconds(self) -> float:
        """Wall time since it began."""
        return round(time.monotonic() - self._started, 3)

    def follow(self) -> Run | None:
        """Take the number after that of the latest run, and return that run; close those that were killed.

        Whoever holds the lock is alone: a run that still counts as running was killed.
        """
        earlier = list_runs(self._engine, limit=_LOOKED_AT).runs
        for run in earlier:
            if run.status == "running":
                ended = {"status": "interrupted", "error": "the process ended without a word"}
                self._engine.apply([PutRow(mc_tables.RUNS, asdict(run) | ended)])
        self.row["number"] = 1 + ((earlier[0].number or 0) if earlier else 0)
        return earlier[0] if earlier else None

    def is_alike(self, earlier: Run | None) -> bool:
        """Tell whether that run did all that it set out to do, by the same configuration, taxonomy and version."""
        if earlier is None or earlier.status != "done":
            return False
        decides = ("version", "config_fingerprint", "taxonomy_fingerprint")
        return all(self.row[name] == getattr(earlier, name) for name in decides)

    def begin(self) -> None:
        """Write that the run is running."""
        self._save("running")

    def done(self, rows: dict[str, int], facts: str) -> None:
        """Write that it has done all it set out to do, how many rows each table holds, and what the export shows."""
        self.row["facts"] = facts
        self.row |= {f"rows_{name.removeprefix('mc_')}": count for name, count in rows.items()}
        self._save("done")

    def stop(self, status: str, error: str) -> None:
        """Write how it ended early, if that is still possible; on a full disk it is not, and the next run does it."""
        with suppress(MicroconvError):
            self._save(status, error)

    def _save(self, status: str, error: str | None = None) -> None:
        self.row |= {"status": status, "error": error, "bytes_billed": self._engine.bytes_billed}
        if status != "running":
            self.row |= {"ended_at": self._now(), "seconds": self.seconds}
        self._engine.apply([PutRow(mc_tables.RUNS, self.row)])
