"""What an engine does. Templates only read; all writing goes through `Engine.apply`, as one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from microconv.engines.tables import Column, Table
from microconv.errors import EngineError
from microconv.exports import Shard, ShardSchema
from microconv.queries.templates import Query, Value

if TYPE_CHECKING:
    import pyarrow as pa


RAW_EVENTS = "raw_events"
"""The relation under which templates read the shards at hand."""


@dataclass(frozen=True)
class DeleteDays:
    """Delete a property's rows of some days (all rows of these days, whatever shard they came from).

    `having` names a column: only rows that have a value there are deleted; `lacking` one where they have none.
    """

    table: Table
    property_id: str
    dates: tuple[date, ...]
    having: str | None = None
    lacking: str | None = None


@dataclass(frozen=True)
class DeleteKeys:
    """Delete the rows whose `column` occurs in the column of the same name of a scratch table."""

    table: Table
    column: str
    scratch: str


@dataclass(frozen=True)
class DeleteDerived:
    """Delete a property's derived rows of `first_day` and later, of those whose key occurs in a scratch table.

    `column` is the name of the key in both; without a scratch table all of them go.
    """

    table: Table
    property_id: str
    first_day: date
    column: str
    scratch: str | None


@dataclass(frozen=True)
class InsertScratch:
    """Insert a scratch table by column name; columns the table does not have are left out."""

    table: Table
    scratch: str


@dataclass(frozen=True)
class PutRow:
    """Replace the row with the same grain."""

    table: Table
    row: Mapping[str, Value]


@dataclass(frozen=True)
class AddRows:
    """Add rows, whatever is there already."""

    table: Table
    rows: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True)
class OwnTable:
    """A table of the user's own: its columns, and where metadata tell it, when it last changed and its size."""

    columns: tuple[str, ...]
    modified_at: datetime | None = None
    bytes: int | None = None


Change = DeleteDays | DeleteKeys | DeleteDerived | InsertScratch | PutRow | AddRows


def check_version(table: Table, found: int | None) -> None:
    """Refuse a table that was made by a newer version: its columns may mean something else.

    Raises:
        EngineError: it was.
    """
    if found is not None and found > table.version:
        raise EngineError(
            f"{table.name} has schema version {found}; this version of microconv knows {table.version}.",
            hint="A newer microconv wrote it: upgrade this one, or use another database.",
        )


class Engine(Protocol):
    """A place where GoogleSQL runs. Methods raise EngineError or LockedError, and nothing of the driver's."""

    @property
    def batch_rows(self) -> int:
        """About how many rows of the export are best staged in one transaction."""
        ...

    @property
    def is_billed(self) -> bool:
        """Whether queries cost money."""
        ...

    @property
    def bytes_billed(self) -> int:
        """Bytes billed for all that this engine object has run; 0 where nothing is billed."""
        ...

    def begin(self, run_id: str, owner: str) -> None:
        """Begin a run that writes: take the lock, so that no other run stages at the same time.

        Raises:
            LockedError: another run holds it; the message says who, and until when.
        """
        ...

    def end(self) -> None:
        """End the run: drop its scratch tables and give back the lock. Without a run it does nothing."""
        ...

    def query(self, query: Query) -> pa.Table:
        """Run a template and return its rows."""
        ...

    def stream(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a template in its order, some at a time: more than may be in memory at once.

        Nothing else may be asked of the engine before all of them were read.
        """
        ...

    def estimate(self, query: Query) -> int | None:
        """Return the bytes a template would be billed for, without running it; None where nothing is billed."""
        ...

    def version(self, name: str) -> int | None:
        """Return the schema version that a table was made with, 1 where it says none; None when there is no table."""
        ...

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns of a table.

        Raises:
            EngineError: there is no such table.
        """
        ...

    def find_table(self, name: str) -> OwnTable | None:
        """Return what metadata tell of a table or view of the user's own (`crm.stages`); None when there is none."""
        ...

    def ensure(self, table: Table, extra: Sequence[Column] = ()) -> None:
        """Create a table where it is missing; add the columns it lacks, and note the schema version.

        Raises:
            EngineError: the table was made by a newer version of microconv.
        """
        ...

    def materialise(self, query: Query, scratch: str) -> None:
        """Write a template's rows into a scratch table, which vanishes by itself; one of that name is replaced."""
        ...

    def load(self, rows: pa.RecordBatchReader, scratch: str) -> None:
        """Write rows (texts and whole numbers) into a scratch table, as they come; one of that name is replaced."""
        ...

    def discard(self, *scratches: str) -> None:
        """Give back the memory of scratch tables that are not read any more; one that is not there is no error."""
        ...

    def leave_room(self) -> AbstractContextManager[None]:
        """Hold less in memory meanwhile, since Python holds many rows beside the engine."""
        ...

    def read_shards(self, shards: Sequence[Shard], schema: ShardSchema) -> None:
        """Make the relation `raw_events` stand for the rows of these shards, which share a schema.

        It has the columns of `RAW_COLUMNS` that the schema holds and no others: an unknown one may bear any name.
        """
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all changes in order, in one transaction: after a kill either all of them happened or none.

        Raises:
            LockedError: the lock was lost meanwhile, so nothing was changed.
        """
        ...

    def close(self) -> None:
        """Give back connections and locks."""
        ...

    def __enter__(self) -> Self:
        """Return the engine itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        ...
