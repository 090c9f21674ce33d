"""The BigQuery emulator that the tests start: it is their own, ends with them, and behaves where we put it right."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

import emulator as emulators
from emulator import Emulator

FOUR_MIB = 4 * 1024 * 1024


def test_two_emulators_share_nothing(emulator: Emulator):
    other = Emulator()
    try:
        dataset = other.dataset()
        with emulator.client() as client, other.client() as other_client:
            assert dataset in {item.dataset_id for item in other_client.list_datasets()}
            assert dataset not in {item.dataset_id for item in client.list_datasets()}
    finally:
        other.stop()


@pytest.mark.usefixtures("emulator")
def test_an_emulator_ends_with_the_process_that_started_it():
    program = "import emulator, sys; print(emulator.Emulator().rest_url, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(emulators.__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        address = ("127.0.0.1", urlsplit(process.stdout.readline().strip()).port)
        process.kill()
    with pytest.raises(ConnectionError):
        connect_for_ever(address)


def connect_for_ever(address: tuple[str, int | None]) -> None:
    """Each connection lasts as long as the emulator: it is never asked anything."""
    while True:
        with socket.create_connection(address, timeout=emulators.SECONDS) as connection:
            connection.recv(1)


@pytest.mark.usefixtures("emulator")
def test_an_emulator_that_does_not_start_says_why(tmp_path: Path):
    server = tmp_path / "server.py"
    server.write_text("raise SystemExit('no room on this machine')", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no room on this machine"):
        Emulator(server)


@pytest.mark.parametrize(("ci", "outcome"), [(None, pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_its_environment_tests_skip_and_in_ci_fail(
    ci: str | None, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(emulators, "ENVIRONMENT", tmp_path)
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no environment"):
        emulators.shared.__wrapped__()


def test_rows_come_over_the_storage_api_in_messages_of_any_size(emulator: Emulator):
    sql = "SELECT REPEAT('a', 1000) AS text FROM UNNEST(GENERATE_ARRAY(1, 10000)) AS n"
    with emulator.client() as client, emulator.storage_client() as storage:
        table = client.query(sql).result()._table  # where BigQuery put the rows of the job
        session = storage.create_read_session(
            parent=f"projects/{emulator.project}",
            read_session=ReadSession(table=table.to_bqstorage(), data_format=DataFormat.ARROW),
        )
        messages = [message for stream in session.streams for message in storage.read_rows(stream.name)]
    assert sum(message.row_count for message in messages) == 10_000
    assert max(len(message.arrow_record_batch.serialized_record_batch) for message in messages) > FOUR_MIB


def test_a_dry_run_does_not_run_the_query(emulator: Emulator):
    parameters = [bigquery.ScalarQueryParameter("why", "STRING", "it ran")]
    config = bigquery.QueryJobConfig(dry_run=True, query_parameters=parameters)
    with emulator.client() as client:
        assert [field.name for field in client.query("SELECT ERROR(@why) AS x", job_config=config).schema] == ["x"]


@pytest.mark.parametrize(
    ("text", "whole", "real"),
    [
        (" -7 ", -7, -7.0),
        ("0x1F", 31, None),
        ("1.5", None, 1.5),
        ("1e3", None, 1000.0),
        ("1_000", None, None),
        ("", None, None),
    ],
)
def test_a_safe_cast_reads_the_numbers_that_bigquery_reads(
    emulator: Emulator, text: str, whole: int | None, real: float | None
):
    config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("text", "STRING", text)])
    with emulator.client() as client:
        (row,) = client.query_and_wait(
            "SELECT SAFE_CAST(@text AS INT64), SAFE_CAST(@text AS FLOAT64)", job_config=config
        )
    assert row.values() == (whole, real)
