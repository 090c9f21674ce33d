"""`microconv runs`: the log of what each sync did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands import FIRST_DAY, write_days
from commands import shard as shard_of
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import SourceError, UsageError
from microconv.project import Project
from microconv.staging import mc_tables, runs, sync
from microconv.staging.record import new_run_id
from projects import write_config
from staged_rows import IN_MEMORY, day, shard, staged

FIRST, SECOND, THIRD = "20240301T060000Z-aaa111", "20240301T060000Z-bbb222", "20240302T060000Z-ccc333"


def test_ids_of_runs_sort_in_the_order_of_their_moments():
    moments = [datetime(2024, 3, 1, 6, tzinfo=UTC) + timedelta(microseconds=each) for each in range(30)]
    ids = [new_run_id(each, "push") for each in moments]

    assert ids == sorted(ids)


def run_row(run_id: str, hour: int, status: str, **columns: object) -> dict[str, object]:
    return {"run_id": run_id, "status": status, "started_at": datetime(2024, 3, 2, hour, tzinfo=UTC)} | columns


ROWS = {
    "mc_runs": [
        run_row(FIRST, 1, "done", shards_staged=2, seconds=3.5, bytes_billed=3 * 2**30),
        run_row(SECOND, 2, "failed", error="disk full"),
        run_row(THIRD, 3, "running", owner="host process 7"),
    ],
    "mc_shards": [
        shard(1, events=5, run_id=FIRST, shard="events_20240301", staged_at=datetime(2024, 3, 2, 1, tzinfo=UTC)),
        shard(2, events=7, run_id=SECOND, shard="events_20240302", staged_at=datetime(2024, 3, 2, 2, tzinfo=UTC)),
    ],
}


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    with staged(IN_MEMORY, **ROWS) as opened:
        yield opened


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    """Run a command on a project that has these runs."""
    config = write_config(tmp_path)
    staged(tmp_path / "microconv.duckdb", **ROWS).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), *arguments])


def test_a_run_has_the_columns_of_its_table():
    assert tuple(field.name for field in fields(runs.Run)) == mc_tables.RUNS.column_names


def test_runs_come_latest_first_and_no_more_than_asked_for(engine):
    assert [run.run_id for run in runs.list_runs(engine).rows] == [THIRD, SECOND, FIRST]
    assert [run.run_id for run in runs.list_runs(engine, limit=2).rows] == [THIRD, SECOND]
    assert [run.run_id for run in runs.list_runs(engine, status="done").rows] == [FIRST]


@pytest.mark.parametrize(("asked", "found"), [(FIRST, FIRST), ("20240301T060000Z-b", SECOND), ("latest", THIRD)])
def test_a_run_is_found_by_its_id_a_unique_beginning_or_latest(engine, asked, found):
    assert runs.find_run(engine, asked).run.run_id == found


def test_a_run_shows_the_days_that_are_staged_as_it_left_them(engine):
    (only,) = runs.find_run(engine, FIRST).days

    assert (only.property, only.event_date, only.shard, only.events) == ("p", day(1), "events_20240301", 5)


def test_a_beginning_of_several_ids_is_refused_with_their_names(engine):
    with pytest.raises(UsageError) as caught:
        runs.find_run(engine, "20240301")

    assert FIRST in caught.value.message
    assert SECOND in caught.value.message


def test_an_id_that_another_one_continues_is_itself():
    with staged(IN_MEMORY, mc_runs=[run_row("a", 1, "done"), run_row("ab", 2, "done")]) as engine:
        assert runs.find_run(engine, "a").run.run_id == "a"


@pytest.mark.parametrize(
    ("asked", "named"), [("20240302T060000Z-ccc334", f"The nearest is {THIRD}"), ("?", f"The latest is {THIRD}")]
)
def test_an_unknown_run_names_the_nearest(engine, asked, named):
    with pytest.raises(UsageError) as caught:
        runs.find_run(engine, asked)

    assert named in caught.value.hint


def test_without_any_run_the_next_step_is_a_sync():
    with staged(IN_MEMORY) as engine:
        assert runs.list_runs(engine).rows == ()
        with pytest.raises(UsageError, match="There is no run yet") as caught:
            runs.find_run(engine, "latest")
    assert "microconv sync" in caught.value.hint


def test_list_as_json_has_every_column(command):
    document = json.loads(command("runs", "list", "--format", "json").stdout)

    assert [run["run_id"] for run in document["runs"]] == [THIRD, SECOND, FIRST]
    assert set(document["runs"][0]) == set(mc_tables.RUNS.column_names)
    assert document["runs"][0]["started_at"] == "2024-03-02T03:00:00+00:00"


def test_list_as_csv_has_every_column_of_every_run(command):
    heading, *lines = command("runs", "list", "--format", "csv").stdout.splitlines()

    assert tuple(heading.split(",")) == mc_tables.RUNS.column_names
    assert [line.split(",")[0] for line in lines] == [THIRD, SECOND, FIRST]


def test_runs_come_as_a_frame(engine):
    frame = runs.list_runs(engine).to_pandas()

    assert tuple(frame.columns) == mc_tables.RUNS.column_names
    assert list(frame["run_id"]) == [THIRD, SECOND, FIRST]


def test_list_as_table_says_how_long_and_how_much(command):
    lines = command("runs", "list").stdout.splitlines()

    (first,) = [line for line in lines if FIRST in line]
    assert first.split() == [FIRST, "done", "2024-03-02", "01:00", "3.5", "s", "–", "2", "3.0", "GiB"]  # noqa: RUF001 - the dash readers see


def test_list_of_a_status_that_no_run_has(command):
    assert "No such run" in command("runs", "list", "--status", "interrupted").stdout
    assert command("runs", "list", "--status", "lost").exit_code == UsageError.exit_code


def test_show_as_json_adds_the_days(command):
    document = json.loads(command("runs", "show", FIRST, "--format", "json").stdout)

    assert (document["run_id"], document["status"], document["bytes_billed"]) == (FIRST, "done", 3 * 2**30)
    assert [(each["event_date"], each["events"]) for each in document["days"]] == [("2024-03-01", 5)]


def test_show_as_table_leaves_out_what_is_not_known(command):
    failed, running = command("runs", "show", SECOND).stdout, command("runs", "show", "latest").stdout

    assert "disk full" in failed
    assert "events_20240302" in failed
    assert "host process 7" in running
    assert "No day is still staged" in running
    assert "ended" not in running


@pytest.mark.parametrize("arguments", [("list",), ("show", "latest")])
def test_before_the_first_sync_the_error_is_that_of_other_commands(tmp_path, arguments):
    config = write_config(tmp_path)

    result = CliRunner().invoke(cli, ["-c", str(config), "runs", *arguments])

    assert result.exit_code == SourceError.exit_code
    assert "Nothing is staged yet" in result.stderr
    assert not (tmp_path / "microconv.duckdb").exists()


def test_a_run_under_a_wrong_clock_hides_no_later_one(tmp_path):
    write_days(tmp_path, 1)
    config = load_config(write_config(tmp_path), {})
    with Project(config) as project:
        engine, sources, taxonomy = project.engine, project.sources, project.taxonomy
        early = sync(engine, sources, config, taxonomy, now=lambda: datetime(2150, 1, 1, tzinfo=UTC))
        shard_of(tmp_path, FIRST_DAY).write_bytes(b"damaged")
        notices: list[str] = []
        with pytest.raises(SourceError) as failed:
            sync(engine, sources, config, taxonomy, on_notice=lambda message, _: notices.append(message))
        latest = project.run("latest").run
        listed = project.runs().runs

    assert early.run_id.startswith("2150")
    assert (latest.run_id, latest.status, latest.number) == (failed.value.run_id, "failed", 2)
    assert [run.number for run in listed] == [2, 1]
    assert any(f"{early.run_id}, says that it began at 2150-01-01" in notice for notice in notices)


def test_numbers_go_on_where_runs_of_a_former_version_have_none(tmp_path):
    write_days(tmp_path, 1)
    with Project(load_config(write_config(tmp_path), {})) as project:
        project.sync()
        project.engine._connection.execute(
            "UPDATE mc_runs SET number = NULL, started_at = '2150-01-01', run_id = 'old'"
        )
        project.sync()
        assert [(run.run_id == "old", run.number) for run in project.runs().runs] == [(False, 1), (True, None)]
