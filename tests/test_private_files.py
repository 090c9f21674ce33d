"""Files that hold people: only their owner reads them, no planted link is followed, and a killed run leaves none."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands import microconv, write_days
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import EngineError
from microconv.files import FileSet, private_folder, replacing
from projects import write_config

NOW = datetime(2024, 3, 1, tzinfo=UTC)
HOLD = """
import sys
from pathlib import Path
from microconv.files import replacing
with replacing(Path(sys.argv[1])) as hidden:
    hidden.write_text("half")
    print("open", flush=True)
    sys.stdin.read()
"""
SPILL = """
import sys
from pathlib import Path
from microconv.engines.duckdb import DuckDBEngine
engine = DuckDBEngine(Path(sys.argv[1]), memory_limit="64MB", threads=1)
connection = engine._connection
connection.execute("CREATE TABLE people AS SELECT range AS n, 'person ' || range::VARCHAR AS who FROM range(100000)")
connection.execute("CREATE TEMP TABLE t AS SELECT a.who || b.n::VARCHAR AS who FROM people a, range(40) b(n)")
print("spilled", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes no right from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(code: str, path: Path) -> subprocess.Popen[str]:
    """Run code that says one line and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def end(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    process.send_signal(how)
    process.communicate()


@pytest.mark.usefixtures("open_umask")
def test_written_file_is_readable_by_its_owner_alone_whatever_the_umask(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("older")
    assert mode(path) == 0o666

    with replacing(path) as hidden:
        hidden.write_text("newer")
        assert mode(hidden) == 0o600

    assert (path.read_text(), mode(path)) == ("newer", 0o600)


def test_public_file_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "microconv.toml", is_private=False) as hidden:
            hidden.write_text("")
    finally:
        os.umask(before)
    assert mode(tmp_path / "microconv.toml") == 0o640


def test_names_of_files_half_written_cannot_be_guessed(tmp_path):
    seen = set()
    for _ in range(5):
        with replacing(tmp_path / "report.html") as hidden:
            seen.add(hidden.name)
            assert str(os.getpid()) not in hidden.name
        with private_folder(tmp_path / "x", "new") as folder:
            seen.add(folder.name)
    assert len(seen) == 10


def test_link_planted_under_a_former_hidden_name_is_removed_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".report.html.{os.getpid()}.tmp").symlink_to(victim)

    with replacing(tmp_path / "report.html") as hidden:
        hidden.write_text("page")

    assert victim.read_text() == "precious"
    assert names(tmp_path) == ["report.html", "victim"]


def test_what_a_killed_run_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "report.html"
    end(start(HOLD, path))
    (dead,) = names(tmp_path)
    living = start(HOLD, path)
    (alive,) = (set(names(tmp_path)) - {dead}) or {""}

    with replacing(path) as hidden:  # somebody writes here: nothing tells which file is whose
        hidden.write_text("1")
    assert alive in names(tmp_path)
    end(living)
    with replacing(path) as hidden:
        hidden.write_text("2")

    assert names(tmp_path) == ["report.html"]
    assert path.read_text() == "2"


def test_files_of_others_that_look_alike_are_kept(tmp_path):
    kept = [".report.html.swp", ".other.html.abcdefgh.partial", "report.html.abcdefgh.partial", ".report.html.bak.tmp"]
    for name in kept:
        (tmp_path / name).write_text("mine")

    with replacing(tmp_path / "report.html") as hidden:
        hidden.write_text("page")

    assert names(tmp_path) == sorted([*kept, "report.html"])


def test_name_as_long_as_the_file_system_takes_can_be_written(tmp_path):
    path = tmp_path / ("x" * 250 + ".html")
    with replacing(path) as hidden:
        hidden.write_text("page")
    assert path.read_text() == "page"


def test_lock_that_a_script_holds_on_the_folder_does_not_stop_a_run(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with replacing(tmp_path / "report.html") as hidden:
            hidden.write_text("page")
    finally:
        os.close(descriptor)
    assert names(tmp_path) == ["report.html"]


@pytest.mark.usefixtures("open_umask")
def test_set_of_files_follows_no_link_and_is_private(tmp_path):
    folder = tmp_path / "audiences"
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir()
    (folder / ".a.csv.t.partial").symlink_to(victim)

    with FileSet(folder, owns=re.compile(r"a\.csv"), token="t", now=NOW) as files:
        files.write("a.csv", ["x\n"])
        files.commit()

    assert victim.read_text() == "precious"
    assert (names(folder), mode(folder / "a.csv")) == (["a.csv"], 0o600)


# The database


@pytest.mark.usefixtures("open_umask")
def test_database_its_log_and_what_it_spills_are_private(tmp_path):
    path = tmp_path / "microconv.duckdb"
    process = start(SPILL, path)
    try:
        (spilled,) = [each for each in tmp_path.iterdir() if each.is_dir()]
        assert mode(spilled) == 0o700
        assert any(each.stat().st_size for each in spilled.iterdir())
        assert mode(path) == 0o600
    finally:
        end(process)
    assert spilled.is_dir()  # what a kill leaves

    DuckDBEngine(path).close()

    assert not spilled.exists()
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.usefixtures("open_umask")
def test_sync_that_is_killed_leaves_nothing_that_others_may_read(tmp_path):
    write_days(tmp_path, 3)
    write_config(tmp_path)
    code = (
        "import os, signal, sys\n"
        "from microconv.config.load import load_config\n"
        "from microconv.engines.duckdb import DuckDBEngine\n"
        "from microconv.project import Project\n"
        "from pathlib import Path\n"
        "apply = DuckDBEngine.apply\n"
        "def killed(engine, changes):\n"
        "    apply(engine, changes)\n"
        "    if any(change.table.name == 'mc_events' for change in changes):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "DuckDBEngine.apply = killed\n"
        "Project(load_config(Path(sys.argv[1]), {})).sync()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "microconv.toml")], check=False)
    assert done.returncode == -signal.SIGKILL
    left = [path for path in tmp_path.iterdir() if path.name not in ("exports", "microconv.toml")]
    assert {"microconv.duckdb", "microconv.duckdb.wal"} <= {path.name for path in left}
    assert all(mode(path) & 0o077 == 0 for path in left), [(path.name, oct(mode(path))) for path in left]

    assert microconv(tmp_path, "sync").code == 0
    assert names(tmp_path) == ["exports", "microconv.duckdb", "microconv.toml"]
    assert mode(tmp_path / "microconv.duckdb") == 0o600


def test_what_runs_of_former_versions_left_neither_stops_a_sync_nor_stays(tmp_path):
    write_days(tmp_path, 1)
    write_config(tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    spilled = tmp_path / "microconv.duckdb.tmp"
    spilled.mkdir()
    (spilled / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"rows")
    for pid in range(1, 40):
        (tmp_path / f"microconv.duckdb.{pid}.new").write_bytes(b"half a database")
    (tmp_path / "microconv.duckdb.41.new").symlink_to(victim)

    assert microconv(tmp_path, "sync").code == 0

    assert victim.read_text() == "precious"
    assert names(tmp_path) == ["exports", "microconv.duckdb", "microconv.toml", "victim"]


def test_folder_that_cannot_be_written_can_still_be_asked(tmp_path, monkeypatch):
    path = tmp_path / "microconv.duckdb"
    DuckDBEngine(path).close()

    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with DuckDBEngine(path) as engine:
        assert engine._connection.sql("SELECT 1").fetchall() == [(1,)]


def test_doctor_says_that_others_may_read_a_database_of_a_former_version(tmp_path):
    write_days(tmp_path, 1)
    write_config(tmp_path)
    assert microconv(tmp_path, "sync").code == 0

    def severity() -> str:
        checks = microconv(tmp_path, "doctor", "--format", "json").document["checks"]
        return next(each["severity"] for each in checks if each["check"] == "database")

    assert severity() == "ok"
    (tmp_path / "microconv.duckdb").chmod(0o644)
    assert severity() == "warning"


# What is not a database


def _sqlite(path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (email TEXT)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("name", ["identity.csv", "people.json", "rows.parquet", "people.sqlite", "people.db", "empty"])
def test_file_that_is_not_a_database_is_refused_by_sync_and_doctor_and_left_as_it_is(tmp_path, name):
    write_days(tmp_path, 1)
    write_config(tmp_path, extra=f'[engine]\npath = "{name}"\n')
    path = tmp_path / name
    if name.endswith(("sqlite", "db")):
        _sqlite(path)
    elif name == "rows.parquet":
        path.write_bytes((tmp_path / "exports" / "events_20240301.parquet").read_bytes())
    else:
        path.write_text("" if name == "empty" else "user_id,email\nu1,jane@example.com\n")
    before = path.read_bytes()

    microconv(tmp_path, "sync").assert_failed(3, "cannot be opened as a DuckDB database", "engine.path")
    examined = microconv(tmp_path, "doctor", "--format", "json")

    assert examined.code == 1
    (finding,) = [each for each in examined.document["checks"] if each["check"] == "database"]
    assert finding["severity"] == "error"
    assert path.read_bytes() == before


@pytest.mark.parametrize("is_there", [False, True])
def test_link_planted_in_place_of_the_log_is_not_written_through(tmp_path, is_there):
    path, victim = tmp_path / "microconv.duckdb", tmp_path / "victim"
    if is_there:
        DuckDBEngine(path).close()
    victim.write_text("precious")
    path.with_name("microconv.duckdb.wal").symlink_to(victim)

    with pytest.raises(EngineError, match="is a link"):
        DuckDBEngine(path)

    assert victim.read_text() == "precious"


def test_folder_is_not_a_database(tmp_path):
    with pytest.raises(EngineError, match="and not a file"):
        DuckDBEngine(tmp_path)


def test_no_extension_is_fetched(tmp_path):
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        names = ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions")
        found = [engine._connection.sql(f"SELECT current_setting('{name}')").fetchall()[0][0] for name in names]
    assert found == [False, False, False]
