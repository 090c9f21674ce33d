"""The embedded engine: DuckDB in a file beside the configuration."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from microconv.engines.base import RAW_EVENTS, AddRows, Change, DeleteDays, DeleteKeys, InsertScratch, check_version
from microconv.engines.dialect import to_duckdb
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, LockedError, SourceError
from microconv.exports import RAW_COLUMNS, Shard, ShardSchema, columns_of, struct_fields
from microconv.queries.templates import Query, Value

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}
_VERSION_COMMENT = "microconv schema "
_ADDED_ROWS = "added_rows"
_MAX_JSON_OBJECT_BYTES = 64 * 1024 * 1024
_NO_ROOM = ("No space left on device", "File too large", "Disk quota exceeded", "max_temp_directory_size")


def duckdb_type(googlesql: str) -> str:
    """Translate a GoogleSQL type, nested ones included, to DuckDB's."""
    if googlesql in _TYPES:
        return _TYPES[googlesql]
    if googlesql.startswith("ARRAY<"):
        return f"{duckdb_type(googlesql[len('ARRAY<') : -1])}[]"
    fields = (f"{_quote(name)} {duckdb_type(kind)}" for name, kind in struct_fields(googlesql))
    return f"STRUCT({', '.join(fields)})"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    """Write a string literal, for the one place where DuckDB takes no parameter: table functions in a view."""
    return "'" + str(value).replace("'", "''") + "'"


class DuckDBEngine:
    """Runs templates in one DuckDB file. One process at a time: DuckDB's own file lock is the lock of a sync."""

    def __init__(self, path: Path, *, memory_limit: str = "1GB", threads: int | None = None) -> None:
        """Open (or create) the database.

        Raises:
            LockedError: another process has it open.
            EngineError: the file is not a database, or its folder cannot be written.
        """
        self.path = path
        self._reading: tuple[Path, ...] = ()
        if b"?" in str(path).encode(errors="replace"):
            raise EngineError(
                f"{path} cannot be the database: DuckDB takes no ? in a path, and nothing that is not UTF-8.",
                hint="Set engine.path to another place.",
            )
        settings: dict[str, Any] = {"memory_limit": memory_limit, "preserve_insertion_order": False}
        if threads is not None:
            settings["threads"] = threads
        try:
            _create(path)
            self._connection = duckdb.connect(str(path), config=settings)
        except (duckdb.Error, OSError) as error:
            raise _opening_error(path, error) from error
        self._connection.execute("SET TimeZone = 'UTC'")

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

    def ensure(self, table: Table, extra: Sequence[Column] = ()) -> None:
        """Create a table where it is missing; add the columns it lacks, `extra` or newer than the database."""
        check_version(table, self.version(table.name))
        columns = ", ".join(f"{_quote(column.name)} {duckdb_type(column.type)}" for column in table.columns)
        with self._errors(table.name):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {_quote(table.name)} ({columns})")
            there = set(self._columns(table.name))
            for column in (*table.columns, *extra):
                if column.name not in there:
                    self._connection.execute(
                        f"ALTER TABLE {_quote(table.name)} ADD COLUMN {_quote(column.name)} {duckdb_type(column.type)}"
                    )
            self._connection.execute(
                f"COMMENT ON TABLE {_quote(table.name)} IS {_text(f'{_VERSION_COMMENT}{table.version}')}"
            )

    def materialise(self, query: Query, scratch: str) -> None:
        """Write a template's rows into a temporary table."""
        reading = self._reading if RAW_EVENTS in query.reads else ()
        with self._errors(query.name, reading):
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {_quote(scratch)} AS {_translated(query)}", _values(query)
            )

    def read_shards(self, shards: Sequence[Shard], schema: ShardSchema) -> None:
        """Make `raw_events` a view over the files of these shards, with the columns that staging knows."""
        # To DuckDB a name is a pattern, and a folder such as `event_date=2024-03-01` a column.
        paths = tuple(path for shard in shards for path in shard.files)
        files = f"[{', '.join(_text(glob.escape(str(path))) for path in paths)}], hive_partitioning = false"
        if shards[0].format == "parquet":
            source = f"read_parquet({files})"
        else:
            columns = ", ".join(f"{_text(name)}: {_text(duckdb_type(kind))}" for name, kind in RAW_COLUMNS.items())
            compression = "gzip" if all(path.suffix == ".gz" for path in paths) else "auto"
            source = (
                f"read_json({files}, format = 'newline_delimited', columns = {{{columns}}}, "
                f"compression = {_text(compression)}, maximum_object_size = {_MAX_JSON_OBJECT_BYTES})"
            )
        known = ", ".join(_quote(name) for name in sorted(columns_of(schema.leaves)))
        self._reading = paths
        with self._errors(shards[0].name, self._reading):
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {RAW_EVENTS} AS SELECT {known} FROM {source}")

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all changes in one transaction."""
        with self._errors("apply"), self._transaction():
            for change in changes:
                self._change(change)

    def _change(self, change: Change) -> None:
        table = _quote(change.table.name)
        match change:
            case DeleteDays(property_id=property_id, dates=dates):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE property = ? AND list_contains(?, event_date)",
                    [property_id, list(dates)],
                )
            case DeleteKeys(column=column, scratch=scratch):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {_quote(column)} IN (SELECT {_quote(column)} FROM {_quote(scratch)})"
                )
            case InsertScratch(scratch=scratch):
                names = ", ".join(_quote(name) for name in self._common_columns(change.table.name, scratch))
                self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {_quote(scratch)}")
            case AddRows(rows=rows):
                self._add_rows(change.table, rows)
            case _:
                grain = " AND ".join(f"{_quote(name)} = ?" for name in change.table.grain)
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {grain}", [change.row[name] for name in change.table.grain]
                )
                self._insert(table, change.row)

    def _insert(self, table: str, row: Mapping[str, Value]) -> None:
        names = ", ".join(_quote(name) for name in row)
        marks = ", ".join("?" for _ in row)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))

    def _add_rows(self, table: Table, rows: Sequence[Mapping[str, Value]]) -> None:
        """Insert any number of rows at once, as one Arrow table: one by one, 10,000 of them take 40 times as long."""
        if not rows:
            return
        added = _arrow_table(table, rows)
        names = ", ".join(_quote(name) for name in added.column_names)
        self._connection.register(_ADDED_ROWS, added)
        try:
            self._connection.execute(f"INSERT INTO {_quote(table.name)} ({names}) SELECT {names} FROM {_ADDED_ROWS}")
        finally:
            self._connection.unregister(_ADDED_ROWS)

    def _common_columns(self, table: str, scratch: str) -> list[str]:
        there = set(self._columns(scratch))
        return [name for name in self._columns(table) if name in there]

    def _columns(self, relation: str) -> list[str]:
        return [row[0] for row in self._connection.execute(f"DESCRIBE {_quote(relation)}").fetchall()]

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
    def _errors(self, step: str, reading: Sequence[Path] = ()) -> Iterator[None]:
        """Turn the driver's errors into ours; `reading` names the files of the export that the step reads."""
        try:
            yield
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            raise _running_error(self.path, step, reading, error) from error
        except RuntimeError as error:
            # How the driver reports most Ctrl-C during a query.
            if "interrupt" in str(error).lower():
                raise KeyboardInterrupt from error
            raise

    def close(self) -> None:
        """Close the database and give back its lock."""
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


def _create(path: Path) -> None:
    """Create the database whole or not at all: a kill or a full disk halfway would leave a file no run can open."""
    if path.exists():
        return
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        duckdb.connect(str(new)).close()
        # Another process may have been first, or the file system may have no links: then opening it does the rest.
        with suppress(OSError):
            os.link(new, path)
    finally:
        with suppress(OSError):
            new.unlink()


def _opening_error(path: Path, error: duckdb.Error | OSError) -> Exception:
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


def _running_error(path: Path, step: str, reading: Sequence[Path], error: duckdb.Error) -> EngineError | SourceError:
    if any(sign in str(error) for sign in _NO_ROOM):
        return _no_room(path, step, error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return EngineError(
            f"{step} needs more memory than engine.memory_limit allows ({_summary(error)}).",
            hint="Raise engine.memory_limit, for example to 4GB.",
        )
    if reading:
        files = str(reading[0]) if len(reading) == 1 else f"one of {reading[0]} to {reading[-1]}"
        return SourceError(
            f"{files} cannot be read ({_without_values(str(error), reading)}); it was not staged.",
            hint="The file is damaged: export or copy it again; the other days are not affected.",
        )
    return EngineError(
        f"DuckDB failed in {step}: {_summary(error)}.",
        hint="Run again; if it fails again, this is a bug worth reporting.",
    )


def _no_room(path: Path, step: str, error: Exception) -> EngineError:
    return EngineError(
        f"The disk of {path} is full ({step}: {_summary(error)}).",
        hint="Free some space and start again; nothing was half-written.",
    )


def _without_values(text: str, reading: Sequence[Path]) -> str:
    """Sum up a message without the pieces of rows that it cites, which may be personal data; names of files stay."""
    for path in reading:
        text = text.replace(f'"{path}"', str(path))
    return re.sub(r"""(got \w+: |["']).*""", "…", text.strip().splitlines()[0]).rstrip(". ")


def _summary(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
