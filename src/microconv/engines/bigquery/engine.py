"""Templates in BigQuery: what a run reads and writes, under a lock and within a budget."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

from microconv.clients.bigquery_connection import Connection
from microconv.clients.failures import is_about_the_query
from microconv.engines.base import RAW_EVENTS, Change, OwnTable
from microconv.engines.bigquery.changes import Script, transaction
from microconv.engines.bigquery.dataset import WorkingDataset, version_of
from microconv.engines.bigquery.jobs import Jobs, MissingTableError, Statement, write_parquet
from microconv.engines.bigquery.lock import Holder, Lock
from microconv.engines.looking import READS_ONLY, Looked
from microconv.engines.tables import Column, Table
from microconv.errors import BudgetError, EngineError, SourceError, UsageError, VanishedError
from microconv.exports import Shard, ShardSchema, columns_of
from microconv.queries.templates import Place, Query, Union

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

_SCRATCH = "mc_scratch_"
_STREAMED_ROWS = 50_000


class BigQueryEngine:
    """Runs templates as BigQuery jobs; tables live in one dataset, the working dataset."""

    is_billed = True
    batch_rows = 5_000_000
    """Enough that the seconds a job takes to start do not count, little enough for the lease."""

    def __init__(
        self,
        connection: Connection,
        *,
        dataset: str,
        exports: Sequence[tuple[str, str]] = (),
        maximum_bytes_billed: int | None = None,
        maximum_bytes_per_run: int | None = None,
        lease_seconds: int = 1800,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the working dataset, which need not exist yet; nothing is asked of BigQuery before it is needed.

        Args:
            connection: its project runs the jobs, pays for them, and holds the working dataset.
            dataset: the name of the working dataset.
            exports: project and dataset of the exports to be read, whose locations a run checks before all else.
            maximum_bytes_billed: the most that one job may be billed for.
            maximum_bytes_per_run: the most that all jobs of this object together may be billed for.
            lease_seconds: how long the lock outlives a run that died.
            clock: seconds that only grow.
        """
        self._connection = connection
        self._exports = tuple(exports)
        self._dataset = WorkingDataset(connection, dataset)
        self._jobs = Jobs(
            connection,
            self._dataset,
            maximum_bytes_billed=maximum_bytes_billed,
            maximum_bytes_per_run=maximum_bytes_per_run,
            # A job begins when at most a third of the lease is over, and must have ended when the lease has.
            timeout_seconds=lease_seconds * 2 // 3,
        )
        self._lock = Lock(self._jobs, lambda: ".".join(self._dataset.place), lease_seconds, clock=clock)
        self._places: dict[str, Place] = {}
        self._reading: tuple[Shard, ...] = ()

    @property
    def bytes_billed(self) -> int:
        """Bytes billed for all that this engine object has run."""
        return self._jobs.bytes_billed

    def begin(self, run_id: str, owner: str) -> None:
        """Begin a run: check locations, create the working dataset where it is missing, take the lock, tidy up.

        Raises:
            LockedError: another run holds the lock.
            EngineError: the exports and the working dataset lie in different places.
            SourceError: there is no such export.
        """
        self._jobs.run_id = run_id
        self._dataset.make(self._exports)
        self._lock.take(run_id, owner)
        self._dataset.drop(_SCRATCH)  # of runs that died: whoever holds the lock is alone

    def end(self) -> None:
        """End the run: drop its scratch tables and give back the lock, if it still has it."""
        if self._lock.run_id is None:
            return
        try:
            self._places.clear()
            self._dataset.drop(self._scratch_table(""))
        finally:
            self._lock.free()

    def holder(self) -> Holder | None:
        """Return which run holds the lock now; None when none does."""
        return self._lock.holder()

    def query(self, query: Query) -> pa.Table:
        """Run a template and return its rows."""
        return self._jobs.rows(self._run(self._statement(query)), query.name)

    def stream(self, query: Query) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a template in its order."""
        yield from self.query(query).to_batches(max_chunksize=_STREAMED_ROWS)

    def look(self, sql: str, most: int) -> Looked:
        """Run a SELECT of one's own in the working dataset, within the limits; return at most `most` rows.

        Raises:
            UsageError: it is not one SELECT, or it cannot be run.
            BudgetError: it would read more than the limits allow.
        """
        statement = Statement("query", sql, error=UsageError)
        with _errors_of_ones_own():
            kind = self._jobs.kind(statement)
            if kind == "SELECT":
                self._jobs.refuse_beyond_budget(statement)
                job = self._jobs.run(statement)
                return Looked.of(self._jobs.rows(job, "query", most=most + 1), most)
        raise UsageError(f"That is not a SELECT, but {kind.replace('_', ' ')}.", hint=READS_ONLY)

    def estimate(self, query: Query) -> int:
        """Return the bytes a template would be billed for, by a dry run.

        Raises:
            EngineError: it reads a table that is not there yet, as the steps of a sync do that read each other's rows.
        """
        statement = self._statement(query)
        with self._shard_errors(statement):
            return self._jobs.estimate(statement)

    def version(self, name: str) -> int | None:
        """Return the schema version in a table's labels; None when there is no such table."""
        found = self._dataset.find(name)
        return None if found is None else version_of(found)

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns of a table, as they were when this engine last made, changed or looked at it."""
        return self._dataset.columns(name)

    def find_table(self, name: str) -> OwnTable | None:
        """Return the metadata of a table, in the working dataset unless its name says where; a view tells no change."""
        *place, table = name.split(".")
        project, dataset = (*self._dataset.place[: 2 - len(place)], *place)
        found = self._dataset.find(table, (project, dataset))
        if found is None:
            return None
        columns = tuple(column.name for column in found.schema)
        return OwnTable(columns, found.modified, found.num_bytes) if found.table_type == "TABLE" else OwnTable(columns)

    def ensure(self, table: Table, extra: Sequence[Column] = ()) -> None:
        """Create a table, partitioned and clustered, or add the columns and the version that it lacks."""
        self._dataset.make()
        self._dataset.ensure(table, extra)

    def materialise(self, query: Query, scratch: str) -> None:
        """Write a template's rows into a scratch table, which a day from now vanishes by itself."""
        table = self._scratch_table(scratch)
        self._run(self._statement(query, destination=table))
        self._dataset.let_expire(table)
        self._places[scratch] = table

    def load(self, rows: pa.RecordBatchReader, scratch: str) -> None:
        """Write rows into a scratch table by a load job, which is free; till then they are in a private file."""
        table = self._scratch_table(scratch)
        with tempfile.TemporaryFile() as file:
            write_parquet(rows, file)
            self._lock.renew_when_due()
            self._jobs.load(scratch, file, table, rows.schema)
        self._dataset.let_expire(table)
        self._places[scratch] = table

    def discard(self, *scratches: str) -> None:
        """Do nothing: scratch tables take no memory of this machine, and go when the run ends."""

    def leave_room(self) -> AbstractContextManager[None]:
        """Do nothing: its memory is elsewhere."""
        return nullcontext()

    def read_shards(self, shards: Sequence[Shard], schema: ShardSchema) -> None:
        """Make `raw_events` a union of these shards, with the columns that staging knows.

        Raises:
            EngineError: the export lies elsewhere than the working dataset.
        """
        columns = tuple(sorted(columns_of(schema.leaves)))
        self._reading = tuple(shards)
        self._dataset.check_location(self._export())
        self._places[RAW_EVENTS] = Union(tuple(shard.name for shard in shards), columns)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all changes in one transaction; in a run it renews the lock first, and changes nothing without it."""
        script = Script(self._dataset.columns, self._scratch_table)
        script.add(changes)
        fence, fence_params = self._lock.fence()
        sql = transaction((*fence, *script.statements))
        try:
            self._jobs.run(Statement("apply", sql, {**script.params, **fence_params}), self._lock.renew_when_due)
        except EngineError:
            self._lock.refuse_when_lost()
            raise

    def close(self) -> None:
        """End the run, if there is one, and close the connection."""
        try:
            self.end()
        finally:
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _run(self, statement: Statement) -> bigquery.QueryJob:
        with self._shard_errors(statement):
            self._jobs.refuse_beyond_budget(statement)
            return self._jobs.run(statement, self._lock.renew_when_due)

    def _statement(self, query: Query, destination: str | None = None) -> Statement:
        """Put the relations of a template where they lie. All of one query are in the export, or none is."""
        places = {name: place for name, place in self._places.items() if name in query.reads}
        is_raw = RAW_EVENTS in places
        return Statement(
            query.name,
            query.placed(places) if places else query.sql,
            query.params,
            reads_from=self._export() if is_raw else None,
            destination=destination,
            error=SourceError if is_raw else EngineError,
        )

    @contextmanager
    def _shard_errors(self, statement: Statement) -> Iterator[None]:
        """Tell a shard that is gone from other tables that are missing, and name one that holds what GA4 does not."""
        try:
            yield
        except MissingTableError:
            for shard in self._reading if statement.reads_from else ():
                if self._dataset.find(shard.name, self._export()) is None:
                    raise VanishedError(
                        f"{shard.place} is no longer there; it was not staged.",
                        hint="Probably another shard replaced it; the next `microconv sync` stages the day from that.",
                    ) from None
            raise
        except SourceError as error:
            if statement.reads_from and is_about_the_query(error.__cause__):
                raise self._unreadable(error) from error
            raise

    def _unreadable(self, error: SourceError) -> SourceError:
        """Return the error for shards that hold what a query cannot read; no value of theirs is in the message."""
        places = [shard.place for shard in self._reading]
        said = error.message.partition(": ")[2].rstrip(".")
        if re.search("overflow", said, re.IGNORECASE):
            said = "a number is too large, probably an event_timestamp: it counts microseconds since 1970 (UTC)"
        elif re.search("parse .*string", said, re.IGNORECASE):
            said = "an event_date is not eight digits (YYYYMMDD)"
        return SourceError(
            f"{places[0] if len(places) == 1 else f'One of {places[0]} to {places[-1]}'} cannot be read: {said}; "
            "it was not staged.",
            hint="Correct what writes this table: running again will not help. The other days are not affected.",
        )

    def _export(self) -> tuple[str, str]:
        table = self._reading[0].table
        if table is None:
            raise SourceError(
                f"{self._reading[0].place} is not a table of BigQuery.",
                hint='Sources of the engine bigquery are of kind = "bigquery".',
            )
        return table.project, table.dataset

    def _scratch_table(self, scratch: str) -> str:
        return f"{_SCRATCH}{re.sub(r'[^A-Za-z0-9_]', '_', self._jobs.run_id)}_{scratch}"


@contextmanager
def _errors_of_ones_own() -> Iterator[None]:
    """Tell what to do about a query of one's own: it is not staging, and its mistakes are no bug of ours."""
    try:
        yield
    except BudgetError as error:
        hint = "Select fewer columns or days, or raise that limit in the configuration."
        raise BudgetError(error.message, hint=hint) from error
    except MissingTableError as error:
        raise UsageError(error.message, hint="docs/tables.md says which tables there are.") from error
    except UsageError as error:
        raise UsageError(error.message, hint="Correct the SQL; docs/tables.md says what the tables hold.") from error
