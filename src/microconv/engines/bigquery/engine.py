"""Templates in BigQuery: what a run reads and writes, under a lock and within a budget."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from microconv.clients.bigquery_connection import Connection
from microconv.engines.base import RAW_EVENTS, Change
from microconv.engines.bigquery.changes import Script, transaction
from microconv.engines.bigquery.dataset import WorkingDataset, version_of
from microconv.engines.bigquery.jobs import Jobs, MissingTableError, Statement
from microconv.engines.bigquery.lock import Holder, Lock
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, SourceError, VanishedError
from microconv.exports import Shard, ShardSchema, columns_of
from microconv.queries.templates import Place, Query, Union

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

_SCRATCH = "mc_scratch_"


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

    def estimate(self, query: Query) -> int:
        """Return the bytes a template would be billed for, by a dry run.

        Raises:
            EngineError: it reads a table that is not there yet, as the steps of a sync do that read each other's rows.
        """
        statement = self._statement(query)
        with self._vanished_shards(statement):
            return self._jobs.estimate(statement)

    def version(self, name: str) -> int | None:
        """Return the schema version in a table's labels; None when there is no such table."""
        found = self._dataset.find(name)
        return None if found is None else version_of(found)

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
        with self._vanished_shards(statement):
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
    def _vanished_shards(self, statement: Statement) -> Iterator[None]:
        """Tell a shard that is gone from other tables that are missing."""
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
