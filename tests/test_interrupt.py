"""A sync that is stopped at any moment leaves whole days only, and the next one ends where an undisturbed one would."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from commands import (
    COMMAND,
    assert_consistent,
    contents,
    environment,
    microconv,
    rebuilt,
    runs,
    start,
    write_days,
    write_many_batches,
)
from microconv.config.load import load_config
from microconv.project import Project
from microconv.staging import Progress
from projects import write_config

DAYS = 8
DATABASE = "microconv.duckdb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose eight days are staged one by one."""
    write_config(tmp_path)
    write_many_batches(tmp_path, DAYS, clients=2_500)
    return tmp_path


def stop_while_staging(
    folder: Path, stop: signal.Signals, *, days: int, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Start a sync and stop it some moments after it has staged a number of days."""
    with start(folder, "--log-format", "json", "sync") as sync:
        lines = []
        for line in sync.stderr:
            lines.append(line)
            if f'"done": {days},' in line:
                break
        time.sleep(seconds)
        sync.send_signal(stop)
        stdout, stderr = sync.communicate(timeout=60)
    return subprocess.CompletedProcess([], sync.returncode, stdout, "".join(lines) + stderr)


def test_ctrl_c_and_a_schedulers_stop_keep_whole_days_and_the_next_run_completes(folder):
    chance = random.Random(1)
    for days, stop in zip((0, 1, 2, 1), (signal.SIGINT, signal.SIGTERM) * 2, strict=True):
        stopped = stop_while_staging(folder, stop, days=days, seconds=chance.uniform(0, 0.4))
        assert stopped.returncode == 130, stopped
        assert stopped.stdout == ""
        assert "Interrupted. What was finished is kept" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert_consistent(folder / DATABASE)
    staged = assert_consistent(folder / DATABASE)
    assert [status for status, _ in runs(folder / DATABASE)] == ["interrupted"] * 4
    done = microconv(folder, "sync", "--format", "json")
    assert done.document["shards"] == {"seen": DAYS, "staged": DAYS - staged, "skipped": staged}
    assert 4 <= staged < DAYS
    assert contents(folder / DATABASE) == rebuilt(folder)


def test_kill_loses_no_whole_day_and_the_killed_run_shows_as_interrupted(folder):
    chance = random.Random(2)
    for days in (0, 1, 2, 1):
        killed = stop_while_staging(folder, signal.SIGKILL, days=days, seconds=chance.uniform(0, 0.4))
        assert killed.returncode == -signal.SIGKILL
        assert runs(folder / DATABASE)[-1] == ("running", None)
        assert_consistent(folder / DATABASE)
    staged = assert_consistent(folder / DATABASE)
    done = microconv(folder, "sync", "--format", "json")
    assert done.document["shards"] == {"seen": DAYS, "staged": DAYS - staged, "skipped": staged}
    assert runs(folder / DATABASE) == [("interrupted", "the process ended without a word")] * 4 + [("done", None)]
    assert contents(folder / DATABASE) == rebuilt(folder)


def test_kill_while_the_database_is_created_does_not_block_the_next_run(tmp_path):
    write_config(tmp_path)
    write_days(tmp_path, 1)
    for _ in range(4):
        with subprocess.Popen(
            [str(COMMAND), "sync"], cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL
        ) as sync:
            while sync.poll() is None and not list(tmp_path.glob(f"{DATABASE}*")):
                time.sleep(0.0005)
            sync.kill()
        assert microconv(tmp_path, "sync").code == 0
        for path in tmp_path.glob(f"{DATABASE}*"):
            path.unlink()


def test_second_sync_ends_at_once_and_names_the_process_that_runs(folder):
    with start(folder, "--log-format", "json", "sync", "--format", "json") as first:
        first.stderr.readline()
        second = microconv(folder, "sync")
        still_running = first.poll() is None
        stdout, _ = first.communicate(timeout=60)
    second.assert_failed(5, DATABASE, f"process {first.pid}", "Wait until that run has ended")
    assert still_running
    assert first.returncode == 0
    assert f'"staged": {DAYS}' in stdout
    assert runs(folder / DATABASE) == [("done", None)]
    assert assert_consistent(folder / DATABASE) == DAYS


def test_ctrl_c_stays_ctrl_c_where_the_run_cannot_be_recorded_any_more(folder):
    with Project(load_config(folder / "microconv.toml", {})) as project:

        def lose_the_database(_: Progress) -> None:
            project.engine._connection.close()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            project.sync(on_progress=lose_the_database)
    assert runs(folder / DATABASE) == [("running", None)]
    assert microconv(folder, "sync").code == 0
    assert [status for status, _ in runs(folder / DATABASE)] == ["interrupted", "done"]
