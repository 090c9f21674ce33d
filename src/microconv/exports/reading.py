"""Rows of a table of BigQuery as Arrow: through the Storage Read API where there is one, else through REST."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from microconv.clients.bigquery_connection import ONE_TRY, Connection
from microconv.errors import SourceError
from microconv.exports.shards import columns_of

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery_storage import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.types import ReadSession

Stream: TypeAlias = "Callable[[int], Iterator[pa.RecordBatch]]"
"""A part of the rows, in an order that does not change: given how many were read already, it reads the others."""

STREAMS = 4
"""How many parts of a table are read at once."""
_REST_PAGE_ROWS = 2_000


@dataclass(frozen=True)
class Reading:
    """The rows of a table at one moment, in parts."""

    schema: pa.Schema
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class TableReader:
    """Reads some leaves of one table, given as dotted paths; `project`, `dataset` and `table` say where it lies.

    NotFound and Conflict of `google.api_core.exceptions` pass through, as `Connection.call` says.
    """

    connection: Connection
    project: str
    dataset: str
    table: str
    leaves: frozenset[str]

    @property
    def _what(self) -> str:
        return f"reading {self.project}.{self.dataset}.{self.table}"

    @property
    def _columns(self) -> frozenset[str]:
        return columns_of(self.leaves)

    def estimate(self) -> int | None:
        """Return how many bytes BigQuery would scan, which costs nothing to ask; None where only REST answers.

        Raises:
            SourceError: the table cannot be read.
        """
        storage = self.connection.storage
        return self._session(storage, self.leaves).estimated_total_bytes_scanned if storage else None

    def open(self) -> Reading:
        """Fix the rows to read: what happens to the table from now on does not change them (with REST it may).

        Raises:
            SourceError: the table cannot be read.
        """
        storage = self.connection.storage
        return self._open_storage(storage) if storage else self._open_rest()

    def read(self, streams: Iterable[Stream], take: Callable[[pa.RecordBatch], None]) -> None:
        """Hand all rows of the streams to `take`, which other threads call; when one fails, the others end early.

        Raises:
            SourceError: a stream broke, and could not be taken up again where it broke before the deadline.
        """
        stop = Event()

        def drain(stream: Stream) -> None:
            try:
                for batch in self._resumed(stream, stop):
                    take(batch)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(STREAMS) as pool:
            try:
                for _ in pool.map(drain, streams):
                    pass
            finally:
                stop.set()  # Ctrl-C is raised here, not in the threads

    def _resumed(self, stream: Stream, stop: Event) -> Iterator[pa.RecordBatch]:
        """Read a stream to its end; when it breaks, go on where it broke. Each batch has the retries of one call."""
        rows = 0
        batches: Iterator[pa.RecordBatch] | None = None

        def following() -> pa.RecordBatch | None:
            nonlocal batches
            if stop.is_set():
                return None
            reading, batches = batches or stream(rows), None  # an iterator that failed is at its end
            batch = next(reading, None)
            batches = reading
            return batch

        while (batch := self.connection.call(self._what, following, error=SourceError)) is not None:
            rows += batch.num_rows
            yield batch

    def _open_storage(self, storage: BigQueryReadClient) -> Reading:
        import pyarrow as pa

        session = self._session(storage, self.leaves)
        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        if not self._columns <= set(schema.names):  # an emulator may know whole columns only
            session = self._session(storage, self._columns)
            schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))

        def stream(name: str) -> Stream:
            def read(rows: int) -> Iterator[pa.RecordBatch]:
                # Its own retries would go on for a day. What lasts longer than the timeout is resumed.
                messages = storage.read_rows(name, rows, **ONE_TRY)  # type: ignore[no-untyped-call]  # ships no types
                for message in messages:
                    buffer = pa.py_buffer(message.arrow_record_batch.serialized_record_batch)
                    yield pa.ipc.read_record_batch(buffer, schema)

            return read

        return Reading(schema, tuple(stream(each.name) for each in session.streams))

    def _session(self, storage: BigQueryReadClient, fields: Iterable[str]) -> ReadSession:
        from google.cloud.bigquery_storage_v1 import types

        wanted = types.ReadSession(
            table=f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}",
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(
                selected_fields=sorted(fields),
                arrow_serialization_options=types.ArrowSerializationOptions(
                    buffer_compression=types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
                ),
            ),
        )
        payer = f"projects/{self.connection.client.project}"
        return self.connection.call(
            self._what,
            lambda: storage.create_read_session(parent=payer, read_session=wanted, max_stream_count=STREAMS, **ONE_TRY),
            error=SourceError,
        )

    def _open_rest(self) -> Reading:
        from google.cloud.bigquery import DatasetReference

        client = self.connection.client
        reference = DatasetReference(self.project, self.dataset).table(self.table)

        def pages(rows: int, limit: int | None = None) -> Iterator[pa.RecordBatch]:
            return client.list_rows(
                table,
                selected_fields=[field for field in table.schema if field.name in self._columns],
                start_index=rows,
                max_results=limit,
                page_size=_REST_PAGE_ROWS,
                **ONE_TRY,
            ).to_arrow_iterable()

        table = self.connection.call(
            self._what,
            lambda: client.get_table(reference, **ONE_TRY),
            error=SourceError,
        )
        # An empty table has one page too.
        first = self.connection.call(self._what, lambda: next(pages(0, limit=1)), error=SourceError)
        return Reading(first.schema, (pages,))
