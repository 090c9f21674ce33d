"""Query jobs: each runs once however often it is submitted, stays within its limits, and is awaited to its end."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any

import pyarrow as pa
from google.api_core import exceptions as api
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

from microconv.clients.bigquery_connection import ONE_TRY, Connection, ResultT
from microconv.clients.failures import in_our_words, summary
from microconv.clients.retries import is_transient
from microconv.engines.bigquery.dataset import WorkingDataset
from microconv.errors import BudgetError, EngineError, MicroconvError
from microconv.queries.templates import Value
from microconv.wording import human_bytes

PAGE_ROWS = 10_000
"""Rows that come with the answer that a job is done; more of them are read through the Storage Read API."""
_CANCEL_SECONDS = 10.0
_LOADED_TYPES = {"string": "STRING", "int64": "INTEGER"}


@dataclass(frozen=True)
class Statement:
    """GoogleSQL with its parameters, and where it reads and writes; `step` names it in job ids, labels and messages.

    Names without a dataset are looked up in `reads_from` (project, dataset), by default the working dataset. Rows go to
    the table `destination` of the working dataset, which is replaced. `error` is what a failure of its own is.
    """

    step: str
    sql: str
    params: Mapping[str, tuple[str, Value]] = field(default_factory=dict)
    reads_from: tuple[str, str] | None = None
    destination: str | None = None
    error: type[MicroconvError] = EngineError


class MissingTableError(EngineError):
    """A statement names a table that is not there."""


class Jobs:
    """Runs statements as jobs of one run; the id of a job says which, so that submitting it twice does nothing more."""

    def __init__(
        self,
        connection: Connection,
        dataset: WorkingDataset,
        *,
        maximum_bytes_billed: int | None,
        maximum_bytes_per_run: int | None,
        timeout_seconds: int,
    ) -> None:
        """Take the limits of one job, and of all jobs together."""
        self._connection = connection
        self._dataset = dataset
        self._most_per_job = maximum_bytes_billed
        self._most_per_run = maximum_bytes_per_run
        self._timeout_seconds = timeout_seconds
        self._sequence = count(1)
        self._storage_refused = False
        self._own = secrets.token_hex(4)  # no other object's jobs are mistaken for jobs of this one
        self.run_id = f"outside-{self._own}"
        self.bytes_billed = 0

    def estimate(self, statement: Statement) -> int:
        """Return the bytes that a statement would process; nothing is run or billed.

        Raises:
            MissingTableError: a table that it names is not there.
            MicroconvError: it cannot be run.
        """
        return self._dry_run(statement).total_bytes_processed or 0

    def kind(self, statement: Statement) -> str:
        """Return what kind of statement it is, such as SELECT, in BigQuery's words; nothing is run or billed.

        Raises:
            MissingTableError: a table that it names is not there.
            MicroconvError: it cannot be run.
        """
        return self._dry_run(statement).statement_type or "unknown"

    def _dry_run(self, statement: Statement) -> bigquery.QueryJob:
        with _missing_tables(statement):
            return self._call(statement, lambda: self._insert(statement, dry_run=True))

    def refuse_beyond_budget(self, statement: Statement) -> None:
        """Reckon what a statement would process, before anything is spent.

        Raises:
            BudgetError: more than one job, or the run, may read.
            MissingTableError: a table that it names is not there.
        """
        needed = self.estimate(statement)
        if self._most_per_job is not None and needed > self._most_per_job:
            raise BudgetError(
                f"{statement.step} would read {human_bytes(needed)}; "
                f"engine.maximum_bytes_billed allows {human_bytes(self._most_per_job)}. It was not run.",
                hint="Raise engine.maximum_bytes_billed, or stage fewer days at a time with --since and --until.",
            )
        if self._most_per_run is not None and self.bytes_billed + needed > self._most_per_run:
            raise BudgetError(
                f"{statement.step} would read {human_bytes(needed)} after {human_bytes(self.bytes_billed)} billed "
                f"so far; engine.maximum_bytes_per_run allows {human_bytes(self._most_per_run)}. It was not run.",
                hint="Raise engine.maximum_bytes_per_run, or stage the rest in other runs, with --since and --until.",
            )

    def run(self, statement: Statement, before: Callable[[], None] = lambda: None) -> bigquery.QueryJob:
        """Run a statement to its end; a job that BigQuery itself failed is run again, as another attempt.

        `before` is called before each attempt.

        Raises:
            MissingTableError: a table that it names is not there.
            MicroconvError: it failed, or BigQuery did not answer until the deadline.
        """
        name = f"microconv-{self.run_id}-{self._own}-{next(self._sequence)}-{statement.step}"
        attempts = count(1)

        def attempt() -> bigquery.QueryJob:
            before()
            number = next(attempts)
            return self._run_once(statement, _plain(name if number == 1 else f"{name}-{number}", "-"))

        with _missing_tables(statement):
            return self._call(statement, attempt)

    def rows(self, job: bigquery.QueryJob, step: str, most: int | None = None) -> pa.Table:
        """Return the rows of a job that is done, or the first `most` of them."""
        return self._connection.call(f"reading the rows of {step}", lambda: self._rows(job, most))

    def load(self, step: str, file: IO[bytes], destination: str, schema: pa.Schema) -> None:
        """Load a Parquet file into a table of the working dataset, which is replaced; `schema` says its columns.

        Raises:
            EngineError: it failed, or BigQuery did not answer until the deadline.
        """
        name = f"microconv-{self.run_id}-{self._own}-{next(self._sequence)}-load-{step}"
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=[bigquery.SchemaField(each.name, _LOADED_TYPES[str(each.type)]) for each in schema],
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels={"app": "microconv", "run": _label(self.run_id), "step": _label(step)},
        )
        attempts = count(1)

        def attempt() -> None:
            # Another id each time: the same rows replace what an attempt whose answer was lost has written.
            job = self._connection.client.load_table_from_file(
                file,
                self._dataset.table(destination),
                rewind=True,
                job_id=_plain(f"{name}-{next(attempts)}", "-"),
                location=self._dataset.location,
                job_config=config,
                timeout=ONE_TRY["timeout"],
            )
            try:
                job.result(**ONE_TRY)
            except TimeoutError as slow:
                raise api.ServiceUnavailable("the load job has not ended yet") from slow  # type: ignore[no-untyped-call]  # ships no types

        self._connection.call(step, attempt)

    def _run_once(self, statement: Statement, job_id: str) -> bigquery.QueryJob:
        try:
            job = self._submit(statement, job_id)
            while not self._call(statement, lambda: self._has_ended(job, statement)):
                pass
        except KeyboardInterrupt:
            with suppress(Exception):  # what it would still cost is little; what matters is to stop
                self._connection.client.cancel_job(
                    job_id, location=self._dataset.location, **{**ONE_TRY, "timeout": _CANCEL_SECONDS}
                )
            raise
        self.bytes_billed += job.total_bytes_billed or 0
        failure: Any = job.exception()  # type: ignore[no-untyped-call]  # ships no types
        if failure is None:
            return job
        if is_transient(failure) or failure.code == 404:  # noqa: PLR2004 - the code of NotFound
            raise failure
        raise in_our_words(failure, statement.step, statement.error) from failure

    def _call(self, statement: Statement, function: Callable[[], ResultT]) -> ResultT:
        return self._connection.call(statement.step, function, error=statement.error)

    def _submit(self, statement: Statement, job_id: str) -> bigquery.QueryJob:
        """Submit a job; when it was submitted before and the answer was lost, find it again."""
        try:
            return self._call(statement, lambda: self._insert(statement, job_id=job_id))
        except api.Conflict:
            return self._call(statement, lambda: self._find(job_id))

    def _find(self, job_id: str) -> bigquery.QueryJob:
        try:
            found: Any = self._connection.client.get_job(job_id, location=self._dataset.location, **ONE_TRY)
        except api.NotFound as not_yet:
            raise api.ServiceUnavailable("The job is there but cannot be seen yet.") from not_yet  # type: ignore[no-untyped-call]  # ships no types
        return found  # type: ignore[no-any-return]  # ids of ours are ids of query jobs

    def _insert(self, statement: Statement, *, job_id: str | None = None, dry_run: bool = False) -> bigquery.QueryJob:
        return self._connection.client.query(
            statement.sql,
            job_config=self._config(statement, dry_run=dry_run),
            job_id=job_id,
            location=self._dataset.location,
            job_retry=None,
            **ONE_TRY,
        )

    def _has_ended(self, job: bigquery.QueryJob, statement: Statement) -> bool:
        """Wait for a job as long as one call may take. How it ended is for the job to say, not for this call."""
        try:
            self._result(job, page_rows=None if statement.destination else PAGE_ROWS)
        except TimeoutError:
            return job.done(**ONE_TRY)
        except api.GoogleAPICallError:
            if not job.done(**ONE_TRY):
                raise
        return True

    def _rows(self, job: bigquery.QueryJob, most: int | None) -> pa.Table:
        if most is not None:
            first: Any = job.result(page_size=PAGE_ROWS, max_results=most, job_retry=None, **ONE_TRY)
            return first.to_arrow(create_bqstorage_client=False)
        result: Any = self._result(job, page_rows=PAGE_ROWS)
        storage = None if self._storage_refused or result.total_rows <= PAGE_ROWS else self._connection.storage
        if storage is not None:
            try:
                return _read(storage, job)
            except api.GoogleAPICallError:
                self._storage_refused = True  # REST gives the same rows, only slower
        return result.to_arrow(create_bqstorage_client=False)

    @staticmethod
    def _result(job: bigquery.QueryJob, page_rows: int | None) -> object:
        return job.result(page_size=page_rows, job_retry=None, **ONE_TRY)

    def _config(self, statement: Statement, *, dry_run: bool) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=bigquery.DatasetReference(*(statement.reads_from or self._dataset.place)),
            query_parameters=[_parameter(name, *typed) for name, typed in statement.params.items()],
            labels={"app": "microconv", "run": _label(self.run_id), "step": _label(statement.step)},
            dry_run=dry_run,
        )
        if dry_run:
            return config
        config.job_timeout_ms = self._timeout_seconds * 1000
        if self._most_per_job is not None:
            config.maximum_bytes_billed = self._most_per_job
        if statement.destination is not None:
            config.destination = self._dataset.table(statement.destination)
            config.write_disposition = bigquery.WriteDisposition.WRITE_TRUNCATE
        return config


@contextmanager
def _missing_tables(statement: Statement) -> Iterator[None]:
    try:
        yield
    except api.NotFound as missing:
        raise MissingTableError(
            f"{statement.step} needs a table that is not there ({summary(missing)}).",
            hint="Run `microconv sync`: it makes the tables.",
        ) from missing


def write_parquet(rows: pa.RecordBatchReader, file: IO[bytes]) -> None:
    """Write rows as Parquet, as they come."""
    from pyarrow import parquet  # takes a while to load, and only a push needs it

    with parquet.ParquetWriter(file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


def _read(storage: Any, job: bigquery.QueryJob) -> pa.Table:  # noqa: ANN401 - its client is loaded when it is used
    """Read all rows of a job's result through the Storage Read API, in one stream: several would lose their order."""
    session = storage.create_read_session(
        parent=f"projects/{job.project}",
        read_session=ReadSession(table=job.destination.to_bqstorage(), data_format=DataFormat.ARROW),
        max_stream_count=1,
        **ONE_TRY,
    )
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    messages = storage.read_rows(session.streams[0].name, **ONE_TRY)
    parts = (pa.py_buffer(message.arrow_record_batch.serialized_record_batch) for message in messages)
    return pa.Table.from_batches([pa.ipc.read_record_batch(part, schema) for part in parts], schema)


def _parameter(name: str, kind: str, value: Any) -> Any:  # noqa: ANN401 - a value of any GoogleSQL type
    if kind.startswith("ARRAY<"):
        return bigquery.ArrayQueryParameter(name, kind.removeprefix("ARRAY<").removesuffix(">"), list(value or ()))
    return bigquery.ScalarQueryParameter(name, kind, value)


def _plain(text: str, filler: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", filler, text)


def _label(text: str) -> str:
    """Write a value as a label takes it: lower case, at most 63 characters."""
    return _plain(text.lower(), "_")[:63]
