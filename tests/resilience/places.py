"""Where a project lives: an export and the staged tables, as files and DuckDB or as datasets of the emulator."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
from crashing import CrashingEngine, Strike
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from tenacity import stop_after_attempt, wait_none

import ga4
from export_tables import load_shard
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.config.load import load_config
from microconv.engines.base import Engine
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.duckdb import DuckDBEngine
from microconv.exports import FileSource, Source
from microconv.exports.pull import PulledSource
from microconv.exports.shards import RAW_COLUMNS, Kind
from microconv.exports.table_source import TableSource
from microconv.staging import Scope, SyncResult, mc_tables, sync
from microconv.taxonomy import Taxonomy, load_taxonomy
from projects import write_config

Event = dict[str, Any]
Row = tuple[tuple[str, Any], ...]
Staged = dict[str, list[Row]]
"""The rows of each staged table in an order of their own, which is the same for equal contents."""
STAGED = ("mc_events", "mc_sessions", "mc_micro_conversions", "mc_hosts", "mc_shards")
OF_A_RUN = frozenset({"run_id", "staged_at"})
OF_AN_ENGINE = frozenset({"modified_at", "bytes", "schema_fingerprint"})
"""Columns of mc_shards that say when and by whom, and those that no two engines or exports share."""
COMPARED = OF_A_RUN | OF_AN_ENGINE
ATTEMPTS = 6
"""How often a call is tried: a submit may fail twice, and the question for its job, too."""
EVERYTHING = Scope()


FEW_ENTRIES = """version = "1.0"
[[micro_conversions]]
id = "view_item"
kind = "milestone"
stage = "consideration"
event = "view_item"

[[micro_conversions]]
id = "add_to_cart"
kind = "milestone"
stage = "decision"
event = "add_to_cart"

[[micro_conversions]]
id = "purchase"
kind = "macro"
stage = "decision"
event = "purchase"
"""
"""A taxonomy for the emulator: each statement costs it a second, and derived entries take many."""


@cache
def taxonomy(folder: Path) -> Taxonomy:
    """The taxonomy of a project."""
    file = folder / "taxonomy.toml"
    return load_taxonomy(preset=None, file=file) if file.exists() else load_taxonomy(preset="ecommerce", file=None)


class Place(Protocol):
    """An export that changes, and the tables staged from it; it can be sent to another process."""

    folder: Path

    def put(self, day: date, events: Sequence[Event], kind: Kind = "daily", without: Iterable[str] = ()) -> None:
        """Write a shard, or write it again; `without` names columns that it lacks."""
        ...

    def remove(self, day: date, kind: Kind = "daily") -> None:
        """Remove a shard."""
        ...

    def open(self) -> tuple[Engine, list[Source]]:
        """Return a new engine, and where it reads."""
        ...

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of the staged tables, mc_runs too, read past the engine; none where a table does not exist."""
        ...

    def await_lease_end(self) -> None:
        """Wait until no run that was killed holds the lock any more."""
        ...


@dataclass(frozen=True)
class LocalPlace:
    """Parquet files and a DuckDB database in one folder."""

    folder: Path
    database: str = "microconv.duckdb"

    def put(self, day: date, events: Sequence[Event], kind: Kind = "daily", without: Iterable[str] = ()) -> None:
        path = self._path(day, kind)
        before = path.stat().st_mtime_ns if path.exists() else 0
        ga4.write_parquet(path, list(events), pa.schema([each for each in ga4.SCHEMA if each.name not in without]))
        # Another time of change even on a coarse clock.
        os.utime(path, ns=(0, max(before + 1_000_000_000, path.stat().st_mtime_ns)))

    def remove(self, day: date, kind: Kind = "daily") -> None:
        self._path(day, kind).unlink()

    def _path(self, day: date, kind: Kind) -> Path:
        return self.folder / "exports" / f"{ga4.shard_name(day, kind)}.parquet"

    def open(self) -> tuple[Engine, list[Source]]:
        return DuckDBEngine(self.folder / self.database, threads=1), [
            FileSource("p1", f"{self.folder}/exports/events_*")
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in mc_tables.TABLES}
        if (self.folder / self.database).exists():
            with duckdb.connect(str(self.folder / self.database), read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                there = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                found |= {name: connection.table(name).to_arrow_table().to_pylist() for (name,) in there}
        return found

    def await_lease_end(self) -> None:
        """Do nothing: the operating system has given the lock back."""


@dataclass(frozen=True)
class EmulatedPlace:
    """Two datasets of the emulator; runs reach it at `api`, which may be a proxy, and all else at `emulator`."""

    folder: Path
    emulator: str
    api: str
    project: str
    export: str
    working: str = field(default_factory=lambda: f"w_{uuid.uuid4().hex}")
    lease_seconds: int = 8
    """Enough for a call to a busy emulator: a lock whose lease ends while it is taken is nobody's."""

    def put(self, day: date, events: Sequence[Event], kind: Kind = "daily", without: Iterable[str] = ()) -> None:
        columns = {name: type_ for name, type_ in RAW_COLUMNS.items() if name not in without}
        with self.client() as client:
            shard = load_shard(client, self.export, day, list(events), kind, columns=columns)
            table = bigquery.Table(f"{self.project}.{self.export}.{shard.name}")
            table.description = "exported again"  # to the emulator, rows alone are no change
            client.update_table(table, ["description"])

    def remove(self, day: date, kind: Kind = "daily") -> None:
        with self.client() as client:
            client.delete_table(f"{self.export}.{ga4.shard_name(day, kind)}")

    def client(self) -> bigquery.Client:
        """Google's client, past any proxy."""
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.emulator},
        )

    def make_working_dataset(self) -> None:
        """Make the working dataset: two runs that made it at once would be more than the emulator can bear."""
        with self.client() as client:
            client.create_dataset(self.working)

    def connection(self) -> Connection:
        """A connection with the retries of all calls, but without their waits."""
        retrying = retries.policy().copy(wait=wait_none(), stop=stop_after_attempt(ATTEMPTS))
        return Connection(self.project, endpoints=Endpoints(self.api, None, is_anonymous=True), retrying=retrying)

    def open(self) -> tuple[Engine, list[Source]]:
        connection = self.connection()
        engine = BigQueryEngine(
            connection,
            dataset=self.working,
            exports=[(self.project, self.export)],
            lease_seconds=self.lease_seconds,
        )
        return engine, [TableSource("p1", connection, self.project, self.export)]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        with self.client() as client:
            return {name: self._rows(client, name) for name in mc_tables.TABLES}

    def _rows(self, client: bigquery.Client, name: str) -> list[dict[str, Any]]:
        try:
            return [dict(row) for row in client.list_rows(client.get_table(f"{self.working}.{name}"))]
        except NotFound:
            return []

    def await_lease_end(self) -> None:
        """Wait until no job runs on by itself, and nobody holds the lock, by the emulator's own clock.

        Who reads table after table while such a job commits sees some tables before it and some after.
        """
        with self.client() as client:
            deadline = datetime.now(tz=UTC) + timedelta(minutes=1)
            while any(True for state in ("pending", "running") for _ in client.list_jobs(state_filter=state)):
                assert datetime.now(tz=UTC) < deadline, "a job does not end"
        engine, _ = replace(self, api=self.emulator).open()
        assert isinstance(engine, BigQueryEngine)
        with engine:
            while (holder := engine.holder()) is not None:
                assert datetime.now(tz=UTC) < holder.expires_at + timedelta(minutes=1), "its lease does not end"


@dataclass(frozen=True)
class PulledPlace(EmulatedPlace):
    """An export in the emulator that is pulled into files beside a DuckDB database."""

    def open(self) -> tuple[Engine, list[Source]]:
        _, (source,) = super().open()
        assert isinstance(source, TableSource)
        return self._local.open()[0], [PulledSource(source, self.folder / self.working)]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return self._local.tables()

    def await_lease_end(self) -> None:
        """Do nothing: the operating system has given the lock back."""

    @property
    def _local(self) -> LocalPlace:
        return LocalPlace(self.folder, f"{self.working}.duckdb")


def run(
    place: Place,
    strike: Strike | None = None,
    *,
    wrap: Callable[[Engine], Any] = lambda engine: engine,
    scope: Scope = EVERYTHING,
) -> SyncResult:
    """Sync a place as the command does, struck at each step."""
    engine, sources = place.open()
    with engine:
        struck = CrashingEngine(engine, strike) if strike else wrap(engine)
        config = load_config(place.folder / "microconv.toml", {})
        return sync(struck, sources, config, taxonomy(place.folder), scope=scope)


def write_project(folder: Path, *, entries: str | None = None) -> Path:
    """Write the configuration of a place, with a preset or with these entries, and return its folder."""
    folder.mkdir(exist_ok=True)
    write_config(folder)
    if entries is not None:
        (folder / "taxonomy.toml").write_text(entries)
    return folder


@dataclass(frozen=True)
class Contents:
    """What is staged, and status and error of each run in the order of their beginnings."""

    staged: Staged
    runs: list[tuple[str, str | None]]


def contents(place: Place, without: frozenset[str] = OF_A_RUN) -> Contents:
    """Read a place; `without` names columns of mc_shards to leave out."""
    found = place.tables()
    staged = {name: _sorted(found[name], without if name == "mc_shards" else frozenset()) for name in STAGED}
    runs = sorted(found["mc_runs"], key=lambda row: row["started_at"])
    return Contents(staged, [(row["status"], row["error"]) for row in runs])


def _sorted(rows: Iterable[Mapping[str, Any]], left_out: frozenset[str]) -> list[Row]:
    plain = (tuple(sorted((name, row[name]) for name in row.keys() - left_out)) for row in rows)
    return sorted(plain, key=lambda row: [str(value) for _, value in row])


def assert_consistent(staged: Staged) -> None:
    """Each staged day is there whole, from one shard; no row is there twice; sessions and events agree."""
    found = {name: [dict(row) for row in rows] for name, rows in staged.items()}
    for name, rows in found.items():
        keys = [tuple(row[column] for column in mc_tables.TABLES[name].grain) for row in rows]
        assert len(keys) == len(set(keys)), f"rows of {name} are there twice"
    events = Counter(row["event_date"] for row in found["mc_events"])
    assert events == {row["event_date"]: row["events"] for row in found["mc_shards"]}
    in_sessions = sum(row["events"] for row in found["mc_sessions"])
    assert in_sessions == sum(row["session_key"] is not None for row in found["mc_events"])
    assert {row["event_date"] for row in found["mc_micro_conversions"]} <= events.keys()
