"""Run the installed command as a shell or a scheduler would, and look into the database that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import ga4
from microconv.config.load import load_config
from microconv.project import Project

COMMAND = Path(sys.executable).with_name("microconv")
FIRST_DAY = date(2024, 3, 1)
TABLES = ("mc_events", "mc_sessions", "mc_micro_conversions")

# Programs that set a limit and then become the command, which inherits it.
_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""
# Root reads and writes everything by CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (1, 2); PR_CAPBSET_DROP (24) ends that.
_UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0 and any(ctypes.CDLL(None).prctl(24, capability) for capability in (1, 2)):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    def assert_failed(self, code: int, *parts: str) -> None:
        """Hold the error to the contract: exit code, one paragraph on stderr, no traceback, nothing on stdout."""
        assert (self.code, self.stdout) == (code, ""), self
        assert self.stderr.startswith("Error: "), self
        assert len(self.stderr.strip().splitlines()) == 1, self
        assert "Traceback" not in self.stderr
        assert "does not know" not in self.stderr, self
        for part in parts:
            assert part in self.stderr, self


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without what would configure microconv or its streams, and with `changes`."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MICROCONV", "PYTHONIO", "NO_COLOR"))
    }
    return {**kept, **(changes or {})}


def microconv(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    timeout: float = 120,
) -> Done:
    """Run `microconv` in a folder; `before` is a command that runs it."""
    done = subprocess.run(
        [*before, str(COMMAND), *arguments],
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `microconv` in a folder, with pipes for stdout and stderr."""
    return subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def limited_to(file_bytes: int) -> tuple[str, ...]:
    """Let no file grow beyond a size: what a full disk looks like to a program, wherever tests may not mount one."""
    return (sys.executable, "-c", _LIMITED, str(file_bytes))


def unprivileged() -> tuple[str, ...]:
    """Make file permissions count for root too; exits 77 where that is refused."""
    return (sys.executable, "-c", _UNPRIVILEGED)


def shard(folder: Path, day: date, suffix: str = ".parquet") -> Path:
    """Path of a day's shard."""
    return folder / "exports" / f"{ga4.shard_name(day)}{suffix}"


def write_days(folder: Path, days: int, *, clients: int = 3) -> list[Path]:
    """Write some days of small shards."""
    dates = [FIRST_DAY + timedelta(days=offset) for offset in range(days)]
    return [ga4.write_parquet(shard(folder, day), ga4.simple_day(day, clients=clients)) for day in dates]


def write_many_batches(folder: Path, days: int, *, clients: int) -> None:
    """Write bigger shards whose schemas take turns, so that a sync stages each day in a transaction of its own."""
    (folder / "exports").mkdir()
    for offset in range(days):
        day = FIRST_DAY + timedelta(days=offset)
        few = pa.Table.from_pylist(ga4.simple_day(day, clients=50), schema=ga4.SCHEMA)
        index = few.schema.get_field_index("user_pseudo_id")
        copies = [
            few.set_column(
                index,
                few.schema.field(index),
                pa.array([f"{copy}{client}" for client in few.column(index).to_pylist()]),
            )
            for copy in range(clients // 50)
        ]
        table = pa.concat_tables(copies)
        pq.write_table(table if offset % 2 else table.drop_columns(["geo"]), shard(folder, day))


def contents(database: Path) -> dict[str, tuple[Any, ...]]:
    """Rows and a sum of hashes over all columns of each staged table: equal for equal contents in any order."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            table: connection.execute(f"SELECT COUNT(*), SUM(HASH(t)) FROM {table} AS t").fetchone() for table in TABLES
        }


def rebuilt(folder: Path) -> dict[str, tuple[Any, ...]]:
    """The contents after a sync of the same shards from nothing."""
    database = folder / "rebuilt.duckdb"
    with Project(load_config(folder / "microconv.toml", {"MICROCONV_ENGINE__PATH": str(database)})) as project:
        project.sync()
    found = contents(database)
    database.unlink()
    return found


def assert_completes(folder: Path) -> None:
    """The next run completes, and ends where a sync from nothing would."""
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.sync()
    assert_consistent(folder / "microconv.duckdb")
    assert contents(folder / "microconv.duckdb") == rebuilt(folder)


def assert_consistent(database: Path) -> int:
    """Every recorded day has exactly its rows, other days have none, sessions agree with events; return the days."""
    with duckdb.connect(str(database), read_only=True) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'mc_shards'").fetchall():
            return 0
        wrong = connection.execute(
            "SELECT event_date FROM (SELECT event_date, COUNT(*) AS n FROM mc_events GROUP BY event_date) AS e "
            "FULL JOIN mc_shards AS s USING (event_date) WHERE e.n IS DISTINCT FROM s.events"
        ).fetchall()
        assert wrong == []
        counted, in_sessions = connection.execute(
            "SELECT (SELECT COUNT(session_key) FROM mc_events), (SELECT COALESCE(SUM(events), 0) FROM mc_sessions)"
        ).fetchone()
        assert counted == in_sessions
        strangers = connection.execute(
            "SELECT COUNT(*) FROM mc_micro_conversions ANTI JOIN mc_shards USING (event_date)"
        )
        assert strangers.fetchone() == (0,)
        return connection.execute("SELECT COUNT(*) FROM mc_shards").fetchone()[0]


def runs(database: Path) -> list[tuple[str, str | None]]:
    """Status and error of each recorded run, oldest first."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("SELECT status, error FROM mc_runs ORDER BY started_at").fetchall()
