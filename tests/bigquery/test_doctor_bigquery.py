"""`microconv doctor`, with BigQuery: permissions, datasets, locations, the lock and the clock, on the emulator."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient

import ga4
from commands import microconv
from emulator import Emulator
from export_tables import load_shard
from faulty_proxy import Call, Edit, Fault, FaultyProxy, Refuse
from microconv.config.load import load_config
from microconv.doctor import CHECKS, diagnose
from microconv.findings import Finding
from microconv.project import Project
from microconv.staging import mc_tables

DENIED = Refuse(403, "accessDenied", "Access Denied: someone@example.com may not do that")


@pytest.fixture(scope="module")
def export(emulator: Emulator) -> str:
    """An export of three days, the last of them today."""
    dataset = emulator.dataset()
    today = datetime.now(tz=UTC).date()
    with emulator.client() as client:
        for back in range(3):
            day = today - timedelta(days=back)
            load_shard(client, dataset, day, ga4.simple_day(day, clients=1))
    return dataset


@pytest.fixture
def folder(tmp_path: Path, emulator: Emulator, proxy: FaultyProxy, export: str) -> Path:
    """A project with the engine BigQuery, whose working dataset is not there yet."""
    (tmp_path / "microconv.toml").write_text(
        f"""
        [project]
        timezone = "UTC"
        [engine]
        kind = "bigquery"
        project = "{emulator.project}"
        dataset = "w_{uuid.uuid4().hex}"
        api_endpoint = "{proxy.url}"
        storage_endpoint = "http://{emulator.grpc_address}"
        anonymous = true
        [[sources]]
        property = "p1"
        kind = "bigquery"
        project = "{emulator.project}"
        dataset = "{export}"
        """
    )
    return tmp_path


def pull(folder: Path) -> None:
    """Let DuckDB be the engine, which pulls the same export."""
    text = (folder / "microconv.toml").read_text()
    text = text.replace('kind = "bigquery"', 'kind = "duckdb"', 1)
    (folder / "microconv.toml").write_text(re.sub(r'^ *dataset = "w_.*$', "", text, flags=re.MULTILINE))


def working_dataset(folder: Path, made: Iterable[mc_tables.Table] = ()) -> str:
    """Make the working dataset with some empty tables, as a sync would."""
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.connection.client.create_dataset(project.config.engine.dataset, exists_ok=True)
        for table in made:
            project.engine.ensure(table)
        return str(project.config.engine.dataset)


def put(client: bigquery.Client, dataset: str, table: str, row: dict[str, Any], schema: str = "") -> None:
    """Add a row; the schema is that of the table, or `name TYPE, …` of a new one."""
    fields = [bigquery.SchemaField(*column.split()) for column in schema.split(", ")] if schema else None
    config = bigquery.LoadJobConfig(schema=fields) if fields else bigquery.LoadJobConfig()
    values = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    client.load_table_from_json([values], f"{dataset}.{table}", job_config=config).result()


def examine(folder: Path) -> dict[str, Finding]:
    """What the doctor finds, by check."""
    findings = diagnose(lambda: load_config(folder / "microconv.toml", {}))
    assert [finding.check for finding in findings] == [check.name for check in CHECKS]
    return {finding.check: finding for finding in findings}


def is_job_of(text: str) -> Callable[[Call], bool]:
    def matches(call: Call) -> bool:
        if call.method != "POST" or not call.path.endswith("/jobs"):
            return False
        query: str = call.json()["configuration"]["query"]["query"]
        return query.startswith(text)

    return matches


def on(matches: Callable[[Call], bool], fault: Fault) -> Callable[[Call], Fault | None]:
    return lambda call: fault if matches(call) else None


def test_before_the_first_sync_only_the_working_dataset_and_the_days_are_missing(folder):
    done = microconv(folder, "doctor", "--format", "json")

    found = {check["check"]: check["severity"] for check in done.document["checks"]}
    assert done.code == 0, done
    assert {name for name, status in found.items() if status == "warning"} == {"working dataset", "waiting days"}
    assert {name for name, status in found.items() if status == "not_tested"} == {
        *("database", "disk", "tables", "runs", "staged export", "external tables", "destinations")
    }


def test_nothing_is_written_and_no_query_runs(folder, proxy):
    working_dataset(folder, mc_tables.TABLES.values())
    proxy.calls.clear()

    examine(folder)

    changes = [call for call in proxy.calls if call.method != "GET"]
    assert changes
    for call in changes:
        assert (call.method, call.json()["configuration"]["dryRun"]) == ("POST", True), call


def test_what_a_sync_left_is_looked_at(folder, client):
    dataset = working_dataset(folder, mc_tables.TABLES.values())
    put(client, dataset, "mc_runs", {"run_id": "r", "status": "done", "started_at": datetime.now(tz=UTC)})

    found = examine(folder)

    assert found["working dataset"].message.endswith("exists, and tables can be created in it.")
    assert found["tables"].severity == "ok"
    assert found["runs"].severity == "ok"
    assert "0 of 3 days are up to date" in found["waiting days"].message


def test_a_failed_run_is_a_failure(folder, client):
    dataset = working_dataset(folder, mc_tables.TABLES.values())
    moment = datetime.now(tz=UTC)
    put(client, dataset, "mc_runs", {"run_id": "r", "status": "failed", "started_at": moment, "error": "no quota"})

    done = microconv(folder, "doctor", "--format", "json")

    assert done.code == 1
    assert f"1 of {len(CHECKS)} checks failed: runs" in done.stderr


@pytest.mark.parametrize(
    ("text", "check", "right"),
    [
        ("SELECT 1", "jobs", "bigquery.jobs.create (roles/bigquery.jobUser)"),
        ("SELECT `event_name`", "reading", "roles/bigquery.dataViewer"),
        ("CREATE TABLE", "working dataset", "roles/bigquery.dataEditor"),
    ],
)
def test_a_missing_permission_is_named(folder, proxy, text, check, right):
    working_dataset(folder)
    proxy.rule = on(is_job_of(text), DENIED)

    found = examine(folder)

    assert found[check].severity == "error"
    assert found[check].remedy.startswith("Grant ")
    assert right in found[check].remedy
    assert "someone@example.com" not in str(found)


def test_an_export_that_may_not_be_listed_is_a_failure(folder, export, proxy):
    proxy.rule = on(lambda call: call.path.endswith(f"/datasets/{export}/tables"), DENIED)

    found = examine(folder)

    assert found["exports"].severity == "error"
    assert found["exports"].remedy.startswith("Grant roles/bigquery.dataViewer")
    assert found["reading"].message == found["gaps"].message == 'The check "exports" must pass first.'
    assert found["jobs"].severity == "ok"


def test_an_export_that_is_not_there_is_a_failure(folder, export):
    text = (folder / "microconv.toml").read_text()
    (folder / "microconv.toml").write_text(text.replace(export, "analytics_0"))

    found = examine(folder)

    assert found["exports"].severity == "error"
    assert "analytics_0" in found["exports"].message


def test_different_locations_are_a_failure(folder, export, proxy):
    dataset = working_dataset(folder)
    places = {export: "EU", dataset: "US"}

    def moved(call: Call) -> Fault | None:
        name = call.path.rpartition("/datasets/")[2]
        if call.method != "GET" or name not in places:
            return None
        return Edit(lambda answer: {**answer, "location": places[name]})

    proxy.rule = moved
    finding = examine(folder)["locations"]

    assert finding.severity == "error"
    assert f"{export} in EU" in finding.message
    assert f"{dataset} in US" in finding.message


@pytest.mark.parametrize(("minutes", "status"), [(-6, "warning"), (-4, "ok"), (4, "ok"), (6, "warning")])
def test_a_clock_that_is_wrong_is_a_warning(folder, proxy, minutes, status):
    def shifted(answer: dict[str, Any]) -> dict[str, Any]:
        time = datetime.now(tz=UTC) + timedelta(minutes=minutes)
        return {**answer, "statistics": {**answer["statistics"], "creationTime": str(int(time.timestamp() * 1000))}}

    proxy.rule = on(is_job_of("SELECT 1"), Edit(shifted))
    finding = examine(folder)["clock"]

    assert finding.severity == status
    assert ("minutes behind BigQuery" in finding.message) == (minutes == 6)
    assert ("minutes ahead of BigQuery" in finding.message) == (minutes == -6)


LOCK = "run_id STRING, owner STRING, acquired_at TIMESTAMP, expires_at TIMESTAMP"


@pytest.mark.parametrize(
    ("minutes", "status", "said"),
    [(10, "ok", "host process 7 (run r1) holds the lock"), (-10, "warning", "that run died")],
)
def test_who_holds_the_lock_is_named_and_a_passed_lease_is_a_warning(folder, client, minutes, status, said):
    dataset = working_dataset(folder)
    now = datetime.now(tz=UTC)
    row = {
        "run_id": "r1",
        "owner": "host process 7",
        "acquired_at": now,
        "expires_at": now + timedelta(minutes=minutes),
    }
    put(client, dataset, "mc_lock", row, LOCK)

    finding = examine(folder)["lock"]

    assert finding.severity == status
    assert said in finding.message


def test_the_lock_of_a_run_that_is_open_is_seen(folder):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.engine.begin("r2", "host process 8")
        held = examine(folder)["lock"]
        project.engine.end()
        free = examine(folder)["lock"]

    assert "host process 8 (run r2) holds the lock" in held.message
    assert (free.severity, free.message) == ("ok", "No run holds the lock.")


def test_a_day_at_the_daily_limit_is_a_warning(folder):
    text = (folder / "microconv.toml").read_text()
    (folder / "microconv.toml").write_text(f"{text}\ndaily_cap = 4\n")

    finding = examine(folder)["daily limit"]

    assert finding.severity == "warning"
    assert datetime.now(tz=UTC).date().isoformat() in finding.message


def test_an_unreachable_service_fails_soon_and_says_what_was_tried(folder, proxy, monkeypatch):
    monkeypatch.setattr("microconv.doctor.patient.PATIENCE_SECONDS", 0.01)
    proxy.rule = lambda _: Refuse(503)

    found = examine(folder)

    assert found["jobs"].severity == found["exports"].severity == "error"
    assert not found["jobs"].remedy.startswith("Grant")


def test_missing_credentials_are_a_failure(folder, tmp_path):
    text = (folder / "microconv.toml").read_text().replace("anonymous = true", "")
    (folder / "microconv.toml").write_text(text)
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "gone.json"), "HOME": str(tmp_path)}

    done = microconv(folder, "doctor", "--format", "json", env=environ)

    found = {check["check"]: check for check in done.document["checks"]}
    assert done.code == 1
    assert found["credentials"]["severity"] == "error"
    assert found["exports"]["message"] == 'The check "credentials" must pass first.'


def test_who_pulls_needs_read_sessions_and_no_jobs(folder, proxy):
    pull(folder)
    proxy.rule = on(lambda call: call.path.endswith("/jobs"), DENIED)

    found = {name: finding.severity for name, finding in examine(folder).items()}

    assert found["jobs"] == found["reading"] == found["clock"] == "not_tested"
    assert found["fast reading"] == found["exports"] == found["database"] == "ok"
    assert "error" not in found.values()


def test_denied_read_sessions_stop_who_pulls_and_slow_the_engine_down(folder, monkeypatch):
    def deny(*_: object, **__: object) -> None:
        raise api.PermissionDenied("not you")

    monkeypatch.setattr(BigQueryReadClient, "create_read_session", deny)
    slow = examine(folder)["fast reading"]
    pull(folder)
    stopped = examine(folder)["fast reading"]

    assert (slow.severity, stopped.severity) == ("warning", "error")
    assert "roles/bigquery.readSessionUser" in slow.remedy
