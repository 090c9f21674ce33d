from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from segment_builder import Segment

from emulator import Emulator
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.engines.base import Engine
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine

pytest.register_assert_rewrite("export_contract", "microconv.testing")


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """An empty segment that exports into a folder that does not exist yet."""
    return Segment(folder=tmp_path / "exports")


@contextmanager
def _on_bigquery(emulator: Emulator) -> Iterator[Engine]:
    endpoints = Endpoints(emulator.rest_url, f"http://{emulator.grpc_address}", is_anonymous=True)
    connection = Connection(emulator.project, endpoints=endpoints, retrying=retries.policy(3, slowest_wait=0.02))
    with BigQueryEngine(connection, dataset=emulator.dataset()) as opened:
        opened.begin("r1", "tests")
        yield opened


@pytest.fixture(params=["duckdb", "bigquery"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine with nothing in it, in a run."""
    if request.param == "bigquery":
        with _on_bigquery(request.getfixturevalue("emulator")) as there:
            yield there
        return
    with DuckDBEngine(IN_MEMORY, threads=1) as here:
        yield here


@pytest.fixture
def engines(emulator: Emulator) -> Iterator[tuple[Engine, Engine]]:
    """DuckDB and BigQuery, side by side."""
    with DuckDBEngine(IN_MEMORY, threads=1) as here, _on_bigquery(emulator) as there:
        yield here, there
