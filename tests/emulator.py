"""A BigQuery emulator of the tests' own on loopback, and Google's clients for it.

`make test` prepares its environment (`.ci/make-emulator`). It runs on DuckDB and sqlglot as microconv does, so it
proves the wire, jobs, parameters, transactions and errors, not what a query means. Its dry runs report 0 bytes,
`maximum_bytes_billed` is ignored, and `table$20240101` is the name of a table.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import tempfile
import threading
import uuid
from functools import cache
from pathlib import Path
from typing import IO

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

ENVIRONMENT = Path(__file__).parents[1] / ".emulator"
SERVER = Path(__file__).with_name("emulator_server.py")
SECONDS = 60


class Emulator:
    """One running emulator; `stop` ends it, and so does the end of this process, in whatever way."""

    project = "microconv-tests"

    def __init__(self, server: Path = SERVER) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._process = subprocess.Popen(
            [ENVIRONMENT / "bin/python", server, self.project],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "HOME": str(ENVIRONMENT / "home")},  # where its DuckDB looks for extensions
            start_new_session=True,  # Ctrl-C is for the tests, which may still need it
        )
        try:
            ports = self._ports()
            self.rest_url = f"http://127.0.0.1:{ports['rest']}"
            self.grpc_address = f"127.0.0.1:{ports['grpc']}"
            with self.client() as client:
                list(client.list_datasets(retry=None, timeout=SECONDS))
        except BaseException:
            self.stop()
            raise

    def _ports(self) -> dict[str, int]:
        """Wait until the process tells where it listens."""
        assert self._process.stdout
        watchdog = threading.Timer(SECONDS, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise RuntimeError(f"the emulator did not start: {self.errors()}")
        ports: dict[str, int] = json.loads(line)
        return ports

    def errors(self) -> str:
        """What it wrote to standard error so far, such as the traceback of an internal error."""
        # Without moving: the process writes at the position that both share.
        return os.pread(self._errors.fileno(), 1_000_000, 0).decode(errors="replace")

    def stop(self) -> None:
        """End the process; its data go with it."""
        try:
            self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()

    def client(self) -> bigquery.Client:
        """A client of the REST API."""
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.rest_url},
        )

    def storage_client(self) -> BigQueryReadClient:
        """A client of the Storage Read API."""
        # As over the channel that the client makes itself: a message of Arrow rows may be larger than gRPC's 4 MiB.
        channel = grpc.insecure_channel(self.grpc_address, options=[("grpc.max_receive_message_length", -1)])
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))

    def dataset(self) -> str:
        """The id of a new, empty dataset."""
        with self.client() as client:
            return client.create_dataset(f"d_{uuid.uuid4().hex}").dataset_id


def start() -> Emulator:
    """Return a new emulator; without its environment the test skips, which in CI is a failure."""
    if not (ENVIRONMENT / ".made").exists():
        message = "the BigQuery emulator has no environment; `make test` makes it where there is Python 3.13"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Emulator()


@cache
def shared() -> Emulator:
    """The one emulator of this process for cases of SQL, started when first asked for."""
    emulator = start()
    atexit.register(emulator.stop)
    return emulator
