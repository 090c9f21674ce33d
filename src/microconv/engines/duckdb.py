"""The embedded engine: DuckDB in a file beside the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from microconv.config.values import number_of_bytes
from microconv.engines.base import (
    RAW_EVENTS,
    AddRows,
    Change,
    DeleteDays,
    DeleteDerived,
    DeleteKeys,
    InsertScratch,
    OwnTable,
    check_version,
)
from microconv.engines.dialect import to_duckdb
from microconv.engines.shard_files import duckdb_type, literal, quote, reading_error, rows_of
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, LockedError, SourceError
from microconv.exports import Shard, ShardSchema
from microconv.files import private_folder, private_umask
from microconv.queries.templates import Query, Value

if TYPE_CHECKING:
    import pyarrow as pa

_VERSION_COMMENT = "microconv schema "
_STREAMED_ROWS = 50_000
_PART_WITH_ROOM = 0.3
_LEAST_WITH_ROOM = 300_000_000
"""What it takes of its memory limit while Python holds many rows, and at least: enough to push a million people."""
_ADDED_ROWS = "added_rows"
_LOADED_ROWS = "loaded_rows"
IN_MEMORY = Path(":memory:")
"""A database without a file, for tests."""
_MAGIC = slice(8, 12), b"DUCK"
"""Where a DuckDB file says what it is: after a checksum of eight bytes."""
OFFLINE: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}
"""DuckDB would else fetch code from the network for a file that it knows of but cannot read."""
_NO_ROOM = ("No space left on device", "File too large", "Disk quota exceeded", "max_temp_directory_size")


class DuckDBEngine:
    """Runs templates in one DuckDB file. One process at a time: DuckDB's own file lock is the lock of a sync."""

    def __init__(self, path: Path, *, memory_limit: str = "1GB", threads: int | None = None) -> None:
        """Open (or create) the database.

        Raises:
            LockedError: another process has it open.
            EngineError: the file is not a database, or its folder cannot be written.
        """
        self.path = path
        self._memory_limit = memory_limit
        self._reading: tuple[Shard, ...] = ()
        if b"?" in str(path).encode(errors="replace"):
            raise EngineError(
                f"{path} cannot be the database: DuckDB takes no ? in a path, and nothing that is not UTF-8.",
                hint="Set engine.path to another place.",
            )
        settings = {**OFFLINE, "memory_limit": memory_limit, "preserve_insertion_order": False}
        if threads is not None:
            settings["threads"] = threads
        self._spilling = ExitStack()
        try:
            if path == IN_MEMORY:
                self._connection = duckdb.connect(str(path), config=settings)
            else:
                self._connection = self._open(path, settings)
        except (duckdb.Error, OSError) as error:
            raise opening_error(path, error) from error
        self._connection.execute("SET TimeZone = 'UTC'")

    def _open(self, path: Path, settings: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        """Open a file, created where it is missing; from here on it is locked."""
        refuse_other_files(path)
        with private_umask():
            _create(path)
            connection = duckdb.connect(str(path), config=dict(settings))
        _remove_old_leftovers(path)
        connection.execute("SET temp_directory = ?", [self._spill_folder()])
        return connection

    def _spill_folder(self) -> str:
        """Make the folder for what does not fit in memory: rows of people, so private. "" is none: nothing is spilled.

        The database is locked by now, so that whatever was spilled before is of a run that was killed.
        """
        try:
            return str(self._spilling.enter_context(private_folder(self.path, "spill", is_alone=True)))
        except OSError:  # a folder that may only be read: questions can be asked still
            return ""

    batch_rows = 1_200_000
    """Enough to use all cores, little enough to stay in memory."""
    is_billed = False
    bytes_billed = 0

    def begin(self, run_id: str, owner: str) -> None:
        """Do nothing: opening the database took its lock, and the operating system gives it back however a run ends."""

    def end(self) -> None:
        """Do nothing: scratch tables are temporary."""

    def query(self, query: Query) -> pa.Table:
        """Run a template and return its rows."""
        with self._errors(query.name):
            return _whole_numbers(self._connection.sql(_translated(query), params=_values(query)).to_arrow_table())

    def stream(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a template in its order; until all are read, the connection takes nothing else."""
        with self._errors(query.name):
            yield from self._connection.sql(_translated(query), params=_values(query)).to_arrow_reader(_STREAMED_ROWS)

    def estimate(self, query: Query) -> int | None:  # noqa: ARG002 - the protocol's signature
        """Return None: nothing is billed."""
        return None

    def version(self, name: str) -> int | None:
        """Return the schema version in a table's comment; None when there is no such table."""
        with self._errors(name):
            found = self._connection.execute(
                "SELECT comment FROM duckdb_tables() WHERE table_name = ? AND NOT temporary", [name]
            ).fetchall()  # all of them: a result half read would block what comes next
        if not found:
            return None
        noted = re.fullmatch(rf"{_VERSION_COMMENT}(\d+)", found[0][0] or "")
        return int(noted[1]) if noted else 1

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns of a table."""
        with self._errors(name):
            return tuple(self._columns(name))

    def find_table(self, name: str) -> OwnTable | None:
        """Return the columns of a table or view; nothing tells when it last changed."""
        dotted = ".".join(map(quote, name.split(".")))
        try:
            return OwnTable(tuple(row[0] for row in self._connection.execute(f"DESCRIBE {dotted}").fetchall()))
        except duckdb.CatalogException:
            return None
        except duckdb.Error as error:
            raise self._running_error(name, (), error) from error

    def ensure(self, table: Table, extra: Sequence[Column] = ()) -> None:
        """Create a table where it is missing; add the columns it lacks, `extra` or newer than the database."""
        check_version(table, self.version(table.name))
        with private_umask():
            self._ensure(table, extra)

    def _ensure(self, table: Table, extra: Sequence[Column]) -> None:
        columns = ", ".join(f"{quote(column.name)} {duckdb_type(column.type)}" for column in table.columns)
        with self._errors(table.name):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {quote(table.name)} ({columns})")
            there = set(self._columns(table.name))
            for column in (*table.columns, *extra):
                if column.name not in there:
                    self._connection.execute(
                        f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(column.name)} {duckdb_type(column.type)}"
                    )
            self._connection.execute(
                f"COMMENT ON TABLE {quote(table.name)} IS {literal(f'{_VERSION_COMMENT}{table.version}')}"
            )

    def materialise(self, query: Query, scratch: str) -> None:
        """Write a template's rows into a temporary table."""
        reading = self._reading if RAW_EVENTS in query.reads else ()
        with self._errors(query.name, reading):
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {quote(scratch)} AS {_translated(query)}", _values(query)
            )

    def load(self, rows: pa.RecordBatchReader, scratch: str) -> None:
        """Write rows into a temporary table, batch by batch."""
        with self._errors(scratch):
            self._connection.register(_LOADED_ROWS, rows)
            try:
                self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(scratch)} AS FROM {_LOADED_ROWS}")
            finally:
                self._connection.unregister(_LOADED_ROWS)

    def discard(self, *scratches: str) -> None:
        """Drop temporary tables."""
        for scratch in scratches:
            with self._errors(scratch):
                self._connection.execute(f"DROP TABLE IF EXISTS temp.{quote(scratch)}")

    @contextmanager
    def leave_room(self) -> Iterator[None]:
        """Take a part of the memory limit only; what does not fit goes to the folder for spilling."""
        self._limit_memory(_PART_WITH_ROOM)
        try:
            yield
        finally:
            self._limit_memory(1.0)

    def _limit_memory(self, part: float) -> None:
        """Set the memory limit to a part of what the settings allow, but not to too little to work with."""
        whole = number_of_bytes(self._memory_limit)
        limit = min(whole, max(_LEAST_WITH_ROOM, int(whole * part)))
        # What cannot be spilled now stays: then the limit is as it was.
        with suppress(duckdb.OutOfMemoryException):
            self._connection.execute(f"SET memory_limit = '{limit}B'")

    def read_shards(self, shards: Sequence[Shard], schema: ShardSchema) -> None:
        """Make `raw_events` a view over the files of these shards, with the columns that staging knows."""
        self._reading = tuple(shards)
        with self._errors(shards[0].name, self._reading):
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {RAW_EVENTS} AS {rows_of(shards, schema)}")

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all changes in one transaction."""
        # The write-ahead log is made anew after each checkpoint.
        with self._errors("apply"), private_umask(), self._transaction():
            for change in changes:
                self._change(change)

    def _change(self, change: Change) -> None:
        table = quote(change.table.name)
        match change:
            case DeleteDays(property_id=property_id, dates=dates, having=having, lacking=lacking):
                only = f" AND {quote(having)} IS NOT NULL" if having else ""
                only += f" AND {quote(lacking)} IS NULL" if lacking else ""
                self._connection.execute(
                    f"DELETE FROM {table} WHERE property = ? AND list_contains(?, event_date){only}",
                    [property_id, list(dates)],
                )
            case DeleteKeys(column=column, scratch=scratch):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {quote(column)} IN (SELECT {quote(column)} FROM {quote(scratch)})"
                )
            case DeleteDerived(property_id=property_id, first_day=first_day, column=column, scratch=scratch):
                of = f" AND {quote(column)} IN (SELECT {quote(column)} FROM {quote(scratch)})" if scratch else ""
                self._connection.execute(
                    f"DELETE FROM {table} WHERE property = ? AND event_date >= ? AND is_derived{of}",
                    [property_id, first_day],
                )
            case InsertScratch(scratch=scratch):
                names = ", ".join(quote(name) for name in self._common_columns(change.table.name, scratch))
                self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {quote(scratch)}")
            case AddRows(rows=rows):
                self._add_rows(change.table, rows)
            case _:
                grain = " AND ".join(f"{quote(name)} = ?" for name in change.table.grain)
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {grain}", [change.row[name] for name in change.table.grain]
                )
                self._insert(table, change.row)

    def _insert(self, table: str, row: Mapping[str, Value]) -> None:
        names = ", ".join(quote(name) for name in row)
        marks = ", ".join("?" for _ in row)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))

    def _add_rows(self, table: Table, rows: Sequence[Mapping[str, Value]]) -> None:
        """Insert any number of rows at once, as one Arrow table: one by one, 10,000 of them take 40 times as long."""
        if not rows:
            return
        added = _arrow_table(table, rows)
        names = ", ".join(quote(name) for name in added.column_names)
        self._connection.register(_ADDED_ROWS, added)
        try:
            self._connection.execute(f"INSERT INTO {quote(table.name)} ({names}) SELECT {names} FROM {_ADDED_ROWS}")
        finally:
            self._connection.unregister(_ADDED_ROWS)

    def _common_columns(self, table: str, scratch: str) -> list[str]:
        there = set(self._columns(scratch))
        return [name for name in self._columns(table) if name in there]

    def _columns(self, relation: str) -> list[str]:
        return [row[0] for row in self._connection.execute(f"DESCRIBE {quote(relation)}").fetchall()]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A failed COMMIT has ended the transaction already, and a full disk may have closed the whole database:
            # what went wrong first is what counts.
            with suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self, step: str, reading: Sequence[Shard] = ()) -> Iterator[None]:
        """Turn the driver's errors into ours; `reading` are the shards that the step reads."""
        try:
            yield
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            raise self._running_error(step, reading, error) from error
        except RuntimeError as error:
            # How the driver reports most Ctrl-C during a query.
            if "interrupt" in str(error).lower():
                raise KeyboardInterrupt from error
            raise

    def _running_error(self, step: str, reading: Sequence[Shard], error: duckdb.Error) -> EngineError | SourceError:
        if any(sign in str(error) for sign in _NO_ROOM):
            return _no_room(self.path, step, error)
        if isinstance(error, duckdb.OutOfMemoryException):
            return EngineError(
                f"{step} needs more memory than engine.memory_limit allows ({_summary(error)}).",
                hint="Raise engine.memory_limit, for example to 4GB.",
            )
        if reading:
            return reading_error(error, reading, self._connection.execute)
        return EngineError(
            f"DuckDB failed in {step}: {_summary(error)}.",
            hint="Run again; if it fails again, this is a bug worth reporting.",
        )

    def close(self) -> None:
        """Close the database and give back its lock; what was spilled is removed."""
        with private_umask(), self._spilling:
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()


def _translated(query: Query) -> str:
    return to_duckdb(query.duckdb_form or query.sql, tuple((name, kind) for name, (kind, _) in query.params.items()))


def _values(query: Query) -> dict[str, Value]:
    return {name: value for name, (_, value) in query.params.items()}


def _whole_numbers(table: pa.Table) -> pa.Table:
    """Give back sums of INT64 as INT64, as GoogleSQL does: DuckDB sums into 128 bits, decimals in Arrow."""
    import pyarrow as pa

    for index, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            table = table.set_column(index, column.name, table.column(index).cast(pa.int64()))
    return table


def _arrow_table(table: Table, rows: Sequence[Mapping[str, Value]]) -> pa.Table:
    """Return rows as Arrow, with those of the table's columns that they have, in the types of the table."""
    import pyarrow as pa

    types = {
        "STRING": pa.string(),
        "INT64": pa.int64(),
        "FLOAT64": pa.float64(),
        "BOOL": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }
    columns = [column for column in table.columns if any(column.name in row for row in rows)]
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    return pa.Table.from_pylist(list(map(dict, rows)), schema)


def refuse_other_files(path: Path) -> None:
    """Refuse what is there and is not a database: DuckDB takes tables in other formats for databases of one view.

    Raises:
        EngineError: it is something else.
        OSError: it cannot be read.
    """
    if path.with_name(f"{path.name}.wal").is_symlink():
        raise _not_a_database(path, "its log, which ends in .wal, is a link: DuckDB would write to where it leads")
    if not path.exists():
        return
    if not path.is_file():
        raise _not_a_database(path, "it is a directory or a device, and not a file")
    with path.open("rb") as file:
        place, magic = _MAGIC
        begin = file.read(place.stop)
    if begin[place] != magic:
        raise _not_a_database(path, "it is another kind of file" if begin else "the file is empty")


def remove_database(path: Path) -> None:
    """Remove a database and its log, if it is there.

    Raises:
        EngineError: it is something else, or cannot be removed.
    """
    try:
        refuse_other_files(path)
        for each in (path, path.with_name(f"{path.name}.wal")):
            each.unlink(missing_ok=True)
    except OSError as error:
        raise opening_error(path, error) from error


def _not_a_database(path: Path, reason: str) -> EngineError:
    return EngineError(
        f"{path} cannot be opened as a DuckDB database ({reason}); it was left as it is.",
        hint="Set engine.path to the database of microconv, or to a new file, which a sync creates.",
    )


def _create(path: Path) -> None:
    """Create the database whole or not at all: a kill or a full disk halfway would leave a file no run can open."""
    if path.exists():
        return
    with private_folder(path, "new") as folder:
        new = folder / "database"
        duckdb.connect(str(new), config=OFFLINE).close()
        # Another process may have been first, or the file system may have no links: then opening it does the rest.
        with suppress(OSError):
            os.link(new, path)


def _remove_old_leftovers(path: Path) -> None:
    """Remove what killed runs of earlier versions left beside the database, which is open and so has no other user."""
    with suppress(OSError):
        own = re.compile(rf"{re.escape(path.name)}\.\d+\.new(?:\.wal)?")
        for leftover in path.parent.iterdir():
            if own.fullmatch(leftover.name) and leftover.is_file():
                leftover.unlink()
        spilled = path.with_name(f"{path.name}.tmp")
        if spilled.is_dir() and not spilled.is_symlink():
            for leftover in spilled.glob("duckdb_temp_*"):
                leftover.unlink()
            spilled.rmdir()


def opening_error(path: Path, error: duckdb.Error | OSError) -> Exception:
    """Return why a database cannot be opened, in our own words."""
    text = str(error)
    if "Could not set lock" in text:
        owner = re.search(r"\(PID (\d+)\)", text)
        who = f"process {owner[1]}" if owner else "another process"
        return LockedError(f"{path} is in use by {who}.", hint="Wait until that run has ended, then start again.")
    if "Permission denied" in text or "Read-only" in text:
        return EngineError(
            f"{path} cannot be written: permission denied.", hint="Change the folder's permissions, or set engine.path."
        )
    if not path.parent.is_dir():
        return EngineError(
            f"The folder {path.parent} of the database does not exist.", hint="Create it, or set engine.path."
        )
    if any(sign in text for sign in _NO_ROOM):
        return _no_room(path, "creating it", error)
    return EngineError(
        f"{path} cannot be opened as a DuckDB database ({_summary(error)}).",
        hint="If it is not a database of microconv, set engine.path to another file; a sync can rebuild all tables.",
    )


def _no_room(path: Path, step: str, error: Exception) -> EngineError:
    return EngineError(
        f"The disk of {path} is full ({step}: {_summary(error)}).",
        hint="Free some space and start again; nothing was half-written.",
    )


def _summary(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
