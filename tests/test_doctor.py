"""`microconv doctor`, with DuckDB: what it finds, what it says to do, and that it changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import ga4
from commands import FIRST_DAY, microconv, shard, unprivileged, write_days
from external_files import row, write_rows
from microconv import doctor
from microconv.config.load import load_config
from microconv.doctor import CHECKS, diagnose
from microconv.engines.base import PutRow
from microconv.engines.duckdb import DuckDBEngine
from microconv.findings import Finding
from microconv.project import Project
from microconv.staging import mc_tables, sync
from projects import write_config

NOW = datetime(2024, 3, 4, 12, tzinfo=UTC)  # the day after the third of `write_days`
SIZES = namedtuple("SIZES", "total used free")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of shards, not staged yet."""
    write_config(tmp_path)
    write_days(tmp_path, 3)
    return tmp_path


@pytest.fixture
def staged(folder: Path) -> Path:
    """The same, staged."""
    config = load_config(folder / "microconv.toml", {})
    with Project(config) as project:
        sync(project.engine, project.sources, config, project.taxonomy, now=lambda: NOW)
    return folder


def examine(folder: Path, *, now: datetime = NOW) -> dict[str, Finding]:
    """What the doctor finds, by check."""
    findings = diagnose(lambda: load_config(folder / "microconv.toml", {}), now=lambda: now)
    assert list(dict.fromkeys(finding.check for finding in findings)) == [check.name for check in CHECKS]
    found: dict[str, Finding] = {}
    for finding in findings:  # several of one check are read as one
        before = found.get(finding.check)
        found[finding.check] = replace(before, message=f"{before.message} {finding.message}") if before else finding
    return found


def put_run(folder: Path, run_id: str, status: str, ended_at: datetime, error: str | None = None) -> None:
    row = {"run_id": run_id, "status": status, "started_at": ended_at, "ended_at": ended_at, "error": error}
    with DuckDBEngine(folder / "microconv.duckdb") as engine:
        engine.apply([PutRow(mc_tables.RUNS, row)])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_tables_of_other_systems_are_held_against_what_was_read(staged):
    assert examine(staged)["external tables"].severity == "not_tested"
    write_config(staged, extra='[[external_events]]\nname = "crm"\npath = "crm/*.csv"\n')
    absent = examine(staged)["external tables"]
    assert (absent.severity, absent.message) == ("warning", "There is nothing to read for the external table crm.")
    path = write_rows(staged / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    waiting = examine(staged)["external tables"]
    assert waiting.message == "0 of 1 table of other systems are read as they are; 1 to read."
    config = load_config(staged / "microconv.toml", {})
    with Project(config) as project:
        sync(project.engine, project.sources, config, project.taxonomy, now=lambda: NOW)
    found = examine(staged)
    assert found["external tables"].severity == "ok"
    # What the last run found in them is told as all that it found in the export.
    assert "have a name that the taxonomy does not count: qualified (1)" in found["staged export"].message
    path.unlink()
    gone = examine(staged)["external tables"]
    assert gone.severity == "warning"
    assert "is gone: crm/a.csv" in gone.message


# The command


def test_a_healthy_project_exits_with_0_and_is_left_as_it_was(staged):
    before = contents(staged)

    done = microconv(staged, "doctor", "--format", "json")

    assert done.code == 0, done
    assert done.document["healthy"] is True
    assert [check["check"] for check in done.document["checks"]] == [check.name for check in CHECKS]
    assert {check["severity"] for check in done.document["checks"]} <= {"ok", "warning", "not_tested"}
    assert contents(staged) == before


def test_before_the_first_sync_no_database_is_made(folder):
    done = microconv(folder, "doctor", "--format", "json")

    found = {check["check"]: check for check in done.document["checks"]}
    assert done.code == 0
    assert found["database"]["severity"] == "ok"
    assert (found["waiting days"]["severity"], found["waiting days"]["remedy"]) == ("warning", "Run `microconv sync`.")
    assert (found["tables"]["severity"], found["runs"]["severity"]) == ("not_tested", "not_tested")
    assert not (folder / "microconv.duckdb").exists()


def test_a_broken_configuration_is_a_finding_with_the_words_of_the_error(folder):
    (folder / "microconv.toml").write_text('[project]\ntimezone = "Mars/Olympus"\n')

    done = microconv(folder, "doctor", "--format", "json")

    first = done.document["checks"][0]
    assert done.code == 1
    assert (first["check"], first["severity"]) == ("configuration", "error")
    assert 'project.timezone = "Mars/Olympus" is not an IANA time zone' in first["message"]
    assert done.document["healthy"] is False
    others = {
        check["severity"] for check in done.document["checks"] if check["check"] not in ("configuration", "libraries")
    }
    assert others == {"not_tested"}
    assert f"1 of {len(CHECKS)} checks failed: configuration" in done.stderr


def test_findings_as_a_table_say_what_to_do(folder):
    shutil.rmtree(folder / "exports")

    done = microconv(folder, "doctor")

    assert done.code == 1
    assert "ERROR" in done.stdout
    assert "Traceback" not in done.stderr
    assert "exports" in done.stderr


def test_a_running_sync_is_named_and_its_database_not_waited_for(staged):
    database = staged / "microconv.duckdb"
    with DuckDBEngine(database):
        done = microconv(staged, "doctor", "--format", "json")

    found = {check["check"]: check for check in done.document["checks"]}
    assert done.code == 0
    assert found["database"]["severity"] == "warning"
    assert f"in use by process {os.getpid()}" in found["database"]["message"]
    assert found["tables"]["severity"] == found["waiting days"]["severity"] == found["runs"]["severity"] == "not_tested"


def test_a_database_that_may_not_be_written_is_a_failure(staged):
    staged.chmod(0o555)
    (staged / "microconv.duckdb").chmod(0o444)
    try:
        done = microconv(staged, "doctor", "--format", "json", before=unprivileged())
    finally:
        staged.chmod(0o755)
    if done.code == 77:
        pytest.skip("capabilities cannot be dropped here")

    found = {check["check"]: check for check in done.document["checks"]}
    assert done.code == 1
    assert found["database"]["severity"] == "error"
    assert "permission denied" in found["database"]["message"]


# Single checks


def test_a_healthy_project_has_no_warning(staged):
    found = examine(staged)

    assert {finding.severity for finding in found.values()} == {"ok", "not_tested"}, found
    assert "p1: 3 days, 2024-03-01 to 2024-03-03" in found["exports"].message
    assert found["waiting days"].message == "3 of 3 days are up to date."


def test_every_finding_that_is_not_well_says_what_to_do(folder):
    shutil.rmtree(folder / "exports")

    for finding in examine(folder).values():
        assert finding.message
        assert finding.subject
        assert bool(finding.remedy) == (finding.severity in ("warning", "error")), finding


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(staged, monkeypatch):
    def breaks(_: object) -> None:
        raise ZeroDivisionError("secret")

    broken = [
        doctor.examination.Examination(
            check.name, check.subject, breaks if check.name == "gaps" else check.look, check.needs
        )
        for check in CHECKS
    ]
    monkeypatch.setattr(doctor.diagnosis, "CHECKS", tuple(broken))

    found = examine(staged)

    assert (found["gaps"].severity, found["gaps"].message) == ("error", "The check itself failed (ZeroDivisionError).")
    assert found["runs"].severity == "ok"


def test_needs_name_checks_that_were_made_before():
    made: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= made, check.name
        made.add(check.name)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ('[taxonomy]\nfile = "gone.toml"\n', "gone.toml"),
        ('[taxonomy]\npreset = "gone"\n', '"gone"'),
    ],
)
def test_a_taxonomy_that_does_not_load_is_a_failure(folder, extra, said):
    write_config(folder, extra=extra)

    found = examine(folder)

    assert found["taxonomy"].severity == "error"
    assert found["exports"].severity == "ok"
    assert said in found["taxonomy"].message
    assert found["waiting days"].message == 'The check "taxonomy" must pass first.'


@pytest.mark.parametrize("order", ["ordered", "strict", "unordered"])
def test_a_funnel_that_names_no_micro_conversion_is_an_error_whatever_its_order(folder, order):
    write_config(folder, extra=f'[[funnels]]\nname = "f"\nsteps = ["view_item", "purchas"]\norder = "{order}"\n')

    taxonomy = examine(folder)["taxonomy"]

    assert taxonomy.severity == "error"
    assert 'funnel "f"' in taxonomy.message
    assert "purchas" in taxonomy.message


@pytest.mark.parametrize(("key", "value"), [("timezone", "EST"), ("currency", "EUO")])
def test_a_zone_or_currency_that_ga4_would_not_show_is_a_warning(folder, key, value):
    text = (folder / "microconv.toml").read_text().replace('timezone = "UTC"', 'timezone = "UTC"\ncurrency = "EUR"')
    default = {"timezone": "UTC", "currency": "EUR"}[key]
    (folder / "microconv.toml").write_text(text.replace(f'{key} = "{default}"', f'{key} = "{value}"'))

    finding = examine(folder)["zone and currency"]

    assert finding.severity == "warning"
    assert value in finding.message


def test_a_missing_library_is_a_failure_and_a_missing_extra_a_remark(folder, monkeypatch):
    wanted = ["duckdb>=2.0", "no-such-library>=1", 'no-such-extra>=1; extra == "push"', 'other; sys_platform == "x"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: wanted)
    missing = examine(folder)["libraries"]
    del wanted[1]
    remark = examine(folder)["libraries"]

    assert (missing.severity, missing.message) == ("error", "Not installed: no-such-library.")
    assert (remark.severity, remark.message) == (
        "ok",
        "All that is required is installed. Optional, and not installed: microconv[push].",
    )


@pytest.mark.parametrize(
    ("local_time", "status"),
    [("2024-03-05T23:59+00:00", "ok"), ("2024-03-06T00:00+00:00", "warning")],
)
def test_a_daily_shard_older_than_two_days_is_a_warning(staged, local_time, status):
    finding = examine(staged, now=datetime.fromisoformat(local_time))["freshness"]

    assert finding.severity == status
    assert "2024-03-03" in finding.message


def test_today_is_that_of_the_property(staged):
    write_config(staged, timezone="Pacific/Kiritimati")  # 14 hours ahead

    assert examine(staged, now=datetime(2024, 3, 5, 12, tzinfo=UTC))["freshness"].severity == "warning"


def test_intraday_alone_is_a_warning(tmp_path):
    write_config(tmp_path)
    ga4.write_parquet(
        tmp_path / "exports" / f"{ga4.shard_name(FIRST_DAY, 'intraday')}.parquet", ga4.simple_day(FIRST_DAY, clients=1)
    )

    found = examine(tmp_path)

    assert found["freshness"].severity == "warning"
    assert "only intraday or fresh shards of p1" in found["freshness"].message
    assert found["waiting days"].severity == "ok"
    assert "1 provisional day to stage (1 new)" in found["waiting days"].message


def test_days_without_a_shard_are_named(folder):
    shard(folder, FIRST_DAY + timedelta(days=1)).unlink()

    gaps = examine(folder)["gaps"]

    assert (gaps.severity, gaps.message) == ("warning", "Days without a shard: p1 2024-03-02.")


def test_of_many_days_the_latest_are_named(tmp_path):
    write_config(tmp_path)
    for day in (date(2024, 3, 1), date(2024, 3, 10)):
        ga4.write_parquet(shard(tmp_path, day), ga4.simple_day(day, clients=1))

    assert "2024-03-09, 2024-03-08, 2024-03-07, 2024-03-06, 2024-03-05 and 3 more" in examine(tmp_path)["gaps"].message


def test_a_day_exported_again_waits_for_a_sync(staged):
    ga4.write_parquet(shard(staged, FIRST_DAY), ga4.simple_day(FIRST_DAY, clients=5))

    waiting = examine(staged)["waiting days"]

    assert (waiting.severity, waiting.message) == ("warning", "2 of 3 days are up to date; 1 day to stage (1 changed).")


def test_a_table_of_a_newer_version_is_a_failure_and_of_an_older_one_a_warning(staged, monkeypatch):
    newer = mc_tables.Table("mc_runs", "", ("run_id",), mc_tables.RUNS.columns, version=mc_tables.RUNS.version + 1)
    monkeypatch.setitem(mc_tables.TABLES, "mc_runs", newer)
    older = examine(staged)["tables"]
    with DuckDBEngine(staged / "microconv.duckdb") as engine:
        engine.ensure(newer)
    monkeypatch.undo()
    found = examine(staged)["tables"]

    assert (older.severity, older.message) == ("warning", "An older microconv wrote mc_runs.")
    assert (found.severity, found.message) == ("error", "A newer microconv wrote mc_runs.")


def test_a_full_disk_is_foreseen(staged, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SIZES(10**12, 10**12, 10**6))

    finding = examine(staged)["disk"]

    assert finding.severity == "warning"
    assert "976.6 KiB are free" in finding.message


def test_a_file_that_is_no_database_is_a_failure(folder):
    (folder / "microconv.duckdb").write_text("no database" * 1000)

    found = examine(folder)

    assert found["database"].severity == "error"
    assert found["tables"].message == 'The check "database" must pass first.'
    assert found["gaps"].severity == "ok"


def test_a_database_without_a_folder_is_a_failure(folder):
    write_config(folder, extra='[engine]\npath = "gone/microconv.duckdb"\n')

    found = examine(folder)

    assert found["database"].severity == "error"
    assert found["disk"].severity == "ok"


@pytest.mark.parametrize(
    ("runs", "status", "said"),
    [
        ([("done", 25)], "ok", "finished 1 d 1 h ago"),
        ([("done", 27)], "warning", "ended 1 d 3 h ago"),
        ([("failed", 1), ("done", 2)], "error", "failed: disk full"),
        ([("done", 1), ("failed", 2)], "ok", "finished 1 h ago"),
        ([("interrupted", 1), ("done", 2)], "warning", "was interrupted"),
        ([("interrupted", 1)], "warning", "No run has finished yet"),
        ([("running", 0), ("failed", 1)], "error", "failed: disk full"),
        ([("done", -24 * 365)], "warning", "which is in the future"),
    ],
)
def test_how_the_last_runs_ended(tmp_path, runs, status, said):
    write_config(tmp_path)
    write_days(tmp_path, 1)
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        for table in mc_tables.TABLES.values():
            engine.ensure(table)
    for run_status, hours_ago in runs:
        put_run(
            tmp_path,
            f"run{hours_ago}",
            run_status,
            NOW - timedelta(hours=hours_ago),
            "disk full" if run_status == "failed" else None,
        )

    finding = examine(tmp_path)["runs"]

    assert finding.severity == status
    assert said in finding.message


def test_failure_after_a_run_under_a_wrong_clock_is_found(staged):
    with DuckDBEngine(staged / "microconv.duckdb") as engine:
        engine._connection.execute("UPDATE mc_runs SET started_at = '2150-01-01', ended_at = '2150-01-01'")
    shard(staged, FIRST_DAY).write_bytes(b"damaged")
    assert microconv(staged, "sync").code == 3

    found = examine(staged, now=datetime.now(tz=UTC))["runs"]

    assert found.severity == "error"
    assert "damaged" in found.message or "cannot be read" in found.message


def test_shard_of_a_day_to_come_does_not_hide_that_the_export_has_stopped(staged):
    content = shard(staged, FIRST_DAY).read_bytes()
    (staged / "exports" / "events_21500101.parquet").write_bytes(content)

    fresh, late = (examine(staged, now=moment)["freshness"] for moment in (NOW, NOW + timedelta(days=30)))

    assert (fresh.severity, late.severity) == ("warning", "warning")
    assert "have not come yet: p1: 2150-01-01" in fresh.message
    assert "The newest daily shard is old. p1: 2024-03-03" in late.message
