"""What an engine does. Templates only read; all writing goes through `Engine.apply`, as one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date
    from types import TracebackType

    import pyarrow as pa

    from microconv.exports import Shard, ShardSchema
    from microconv.tables import Column, Table
    from microconv.templates import Query, Value


@dataclass(frozen=True)
class DeleteDays:
    """Delete a property's rows of some days (all rows of these days, whatever shard they came from)."""

    table: Table
    property_id: str
    dates: tuple[date, ...]


@dataclass(frozen=True)
class DeleteKeys:
    """Delete the rows whose `column` occurs in the column of the same name of a scratch table."""

    table: Table
    column: str
    scratch: str


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


Change = DeleteDays | DeleteKeys | InsertScratch | PutRow


class Engine(Protocol):
    """A place where GoogleSQL runs. Methods raise EngineError (LockedError on opening) and nothing of the driver's."""

    def query(self, query: Query) -> pa.Table:
        """Run a template and return its rows."""
        ...

    def has_table(self, name: str) -> bool:
        """Tell whether a table of this name exists."""
        ...

    def ensure(self, table: Table, extra: Sequence[Column] = ()) -> None:
        """Create a table where it is missing, and add `extra` columns it lacks."""
        ...

    def materialise(self, query: Query, scratch: str) -> None:
        """Write a template's rows into a scratch table, which vanishes by itself; one of that name is replaced."""
        ...

    def read_shards(self, shards: Sequence[Shard], schema: ShardSchema) -> None:
        """Make the relation `raw_events` stand for the rows of these shards, which share a schema.

        It has the columns of `RAW_COLUMNS` that the schema holds and no others: an unknown one may bear any name.
        """
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all changes in order, in one transaction: after a kill either all of them happened or none."""
        ...

    def close(self) -> None:
        """Give back connections and locks."""
        ...

    def __enter__(self) -> Engine:
        """Return the engine itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        ...
