"""A way to the emulator that tests can break, and engines on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from google.cloud import bigquery
from tenacity import Retrying, stop_after_attempt, wait_none

from emulator import Emulator
from faulty_proxy import FaultyProxy
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.engines.bigquery import BigQueryEngine

Open = Callable[..., BigQueryEngine]


@pytest.fixture
def impatient() -> Retrying:
    """The policy of all calls, without its waits: the fourth failure is the last."""
    return retries.policy().copy(wait=wait_none(), stop=stop_after_attempt(4))


@pytest.fixture
def client(emulator: Emulator) -> Iterator[bigquery.Client]:
    """Google's client, past the proxy."""
    with emulator.client() as opened:
        yield opened


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultyProxy]:
    """What stands between the engine and the emulator; it breaks nothing yet."""
    with FaultyProxy(emulator.rest_url) as running:
        yield running


@pytest.fixture
def connect(emulator: Emulator, proxy: FaultyProxy, impatient: Retrying) -> Iterator[Callable[..., Connection]]:
    """Make connections through the proxy."""
    with ExitStack() as opened:

        def make(storage: str | None = f"http://{emulator.grpc_address}", **options: Any) -> Connection:
            endpoints = Endpoints(proxy.url, storage, is_anonymous=True)
            connection = Connection(emulator.project, endpoints=endpoints, **{"retrying": impatient, **options})
            opened.callback(connection.close)
            return connection

        yield make


@pytest.fixture
def dataset() -> str:
    """The name of a working dataset that does not exist yet."""
    return f"w_{uuid.uuid4().hex}"


@pytest.fixture
def open_engine(connect: Callable[..., Connection], dataset: str) -> Open:
    """Make engines that share the working dataset."""

    def make(connection: Connection | None = None, **options: Any) -> BigQueryEngine:
        return BigQueryEngine(connection or connect(), dataset=dataset, **options)

    return make


@pytest.fixture
def engine(open_engine: Open) -> BigQueryEngine:
    """An engine outside a run."""
    return open_engine()
