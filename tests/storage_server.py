"""Google's Storage Read API over rows of the emulator, as Google documents it, which the emulator does not.

A session holds the rows of one moment, in several streams. Of a struct only the selected fields are there. Messages are
small, and streams break on demand.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from emulator import Emulator

_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"


class StorageServer:
    """A context manager; `url` is where it listens. A read takes one of `faults`: rows to send, then the error."""

    def __init__(self, emulator: Emulator, *, streams: int = 2, message_rows: int = 2) -> None:
        self.sessions: list[types.CreateReadSessionRequest] = []
        self.reads: list[tuple[str, int]] = []
        self.faults: deque[tuple[int, grpc.StatusCode]] = deque()
        self.on_session: Callable[[], object] = lambda: None
        self._emulator = emulator
        self._streams = streams
        self._message_rows = message_rows
        self._rows: dict[str, pa.Table] = {}
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._create, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._read, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, handlers)])
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> StorageServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def forget_sessions(self) -> None:
        """Know none of the streams that were given out."""
        self._rows.clear()

    def _create(self, request: types.CreateReadSessionRequest, context: grpc.ServicerContext) -> types.ReadSession:
        self.sessions.append(request)
        try:
            table = self._snapshot(request.read_session)
        except Exception as error:  # noqa: BLE001 - the client shall have it, whatever it is
            context.abort(getattr(error, "grpc_status_code", None) or grpc.StatusCode.INTERNAL, str(error))
        name = f"projects/p/locations/us/sessions/{uuid.uuid4().hex}"
        count = min(request.max_stream_count, self._streams)
        bounds = [table.num_rows * place // count for place in range(count + 1)]
        parts = {f"{name}/streams/{n}": table.slice(bounds[n], bounds[n + 1] - bounds[n]) for n in range(count)}
        self._rows |= parts
        self.on_session()
        return types.ReadSession(
            name=name,
            arrow_schema=types.ArrowSchema(serialized_schema=table.schema.serialize().to_pybytes()),
            streams=[types.ReadStream(name=part) for part in parts],
            estimated_total_bytes_scanned=1234,
        )

    def _snapshot(self, wanted: types.ReadSession) -> pa.Table:
        selected = list(wanted.read_options.selected_fields)
        columns = {field.partition(".")[0] for field in selected}
        options = types.ReadSession.TableReadOptions(selected_fields=columns)
        whole = types.ReadSession(table=wanted.table, data_format=types.DataFormat.ARROW, read_options=options)
        client = self._emulator.storage_client()
        session = client.create_read_session(parent="projects/p", read_session=whole)
        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        batches = [
            pa.ipc.read_record_batch(pa.py_buffer(message.arrow_record_batch.serialized_record_batch), schema)
            for stream in session.streams
            for message in client.read_rows(stream.name)
        ]
        client.transport.close()
        pruned = pa.schema([pa.field(field.name, _pruned(field.name, field.type, selected)) for field in schema])
        return pa.Table.from_pylist(pa.Table.from_batches(batches, schema).to_pylist(), schema=pruned)

    def _read(self, request: types.ReadRowsRequest, context: grpc.ServicerContext) -> Iterator[types.ReadRowsResponse]:
        self.reads.append((request.read_stream, request.offset))
        healthy_rows, code = self.faults.popleft() if self.faults else (None, None)
        if request.read_stream not in self._rows:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such stream")
        rows = self._rows[request.read_stream].slice(request.offset)
        for start in range(0, rows.num_rows, self._message_rows):
            if healthy_rows is not None and start >= healthy_rows:
                context.abort(code, "broken on purpose")
            (batch,) = rows.slice(start, self._message_rows).combine_chunks().to_batches()
            message = types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes())
            yield types.ReadRowsResponse(row_count=batch.num_rows, arrow_record_batch=message)


def _pruned(path: str, kind: pa.DataType, selected: Iterable[str]) -> Any:
    """What is left of a type when only these fields, or fields below them, are read."""
    if path in selected:
        return kind
    if pa.types.is_list(kind):
        return pa.list_(_pruned(path, kind.value_type, selected))
    inner = [(field, f"{path}.{field.name}") for field in kind]
    return pa.struct(
        [
            pa.field(field.name, _pruned(below, field.type, selected))
            for field, below in inner
            if any(f"{each}.".startswith(f"{below}.") for each in selected)
        ]
    )
