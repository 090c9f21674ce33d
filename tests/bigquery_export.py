"""An export in the emulator, as GA4 would fill it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.cloud import bigquery

import ga4
from emulator import Emulator
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.exports.table_source import TableSource


class Export:
    """A dataset of the emulator with tables of an export."""

    def __init__(self, emulator: Emulator, client: bigquery.Client, scratch: Path) -> None:
        self.dataset = emulator.dataset()
        self.project = emulator.project
        self.client = client
        self._emulator = emulator
        self._file = scratch / "load.parquet"
        self._connections: list[Connection] = []

    def put(self, name: str, events: list[dict[str, Any]], schema: pa.Schema = ga4.SCHEMA) -> None:
        """Write a table, in place of one that may be there."""
        self.load(name, ga4.write_parquet(self._file, events, schema))

    def load(self, name: str, file: Path) -> None:
        """Load a Parquet file as a table, in place of one that may be there."""
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
        with file.open("rb") as opened:
            self.client.load_table_from_file(opened, self.place(name), job_config=config).result()
        self.touch(name)

    def touch(self, name: str) -> None:
        """Change a table's modified time, which the emulator neither notes nor changes when rows are loaded."""
        table = self.client.get_table(self.place(name))
        table.description = uuid.uuid4().hex
        self.client.update_table(table, ["description"])

    def drop(self, name: str) -> None:
        """Take a table away."""
        self.client.delete_table(self.place(name))

    def place(self, name: str) -> str:
        """The full name of a table."""
        return f"{self.project}.{self.dataset}.{name}"

    def source(self, *, api: str | None = None, storage: str | None = "", dataset: str | None = None) -> TableSource:
        """The source a configuration would make; `api` and `storage` may stand in front of the emulator's own."""
        endpoints = Endpoints(
            api or self._emulator.rest_url,
            f"http://{self._emulator.grpc_address}" if storage == "" else storage,
            is_anonymous=True,
        )
        retrying = retries.policy(3, slowest_wait=0.02)
        self._connections.append(Connection(self.project, endpoints=endpoints, retrying=retrying))
        return TableSource("p1", self._connections[-1], self.project, dataset or self.dataset)

    def another(self) -> Export:
        """Another dataset; it is closed with this one."""
        other = Export(self._emulator, self.client, self._file.parent)
        other._connections = self._connections
        return other

    def close(self) -> None:
        """Close the connections of all sources."""
        for connection in self._connections:
            connection.close()
