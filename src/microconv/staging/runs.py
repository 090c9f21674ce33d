"""The log of runs: what each sync did, how it ended, and which days it staged."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from microconv.engines.base import Engine
from microconv.errors import EngineError, UsageError
from microconv.queries import templates
from microconv.staging.mc_tables import RUNS

LATEST = "latest"
"""The word that stands for the id of the latest run."""

_COMPARED = 1_000
_SHOWN = 3


@dataclass(frozen=True)
class Run:
    """One sync, with the columns of mc_runs; None where it did not come that far."""

    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    owner: str | None
    version: str | None
    config_fingerprint: str | None
    taxonomy: str | None
    taxonomy_fingerprint: str | None
    shards_seen: int | None
    shards_staged: int | None
    shards_skipped: int | None
    rows_events: int | None
    rows_sessions: int | None
    rows_micro_conversions: int | None
    duplicates_removed: int | None
    bytes_billed: int | None
    seconds: float | None
    error: str | None

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the columns of mc_runs, times as ISO strings."""
        return _with_iso_times(asdict(self))


@dataclass(frozen=True)
class RunDay:
    """One day that is staged as a run left it; counts are rows."""

    property: str
    event_date: date
    shard: str
    kind: str
    source_rows: int | None
    events: int
    duplicates_removed: int | None
    consentless_events: int | None
    staged_at: datetime


@dataclass(frozen=True)
class RunDetails:
    """A run, and the days whose rows are still its own: those that no later run staged again."""

    run: Run
    days: tuple[RunDay, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the columns of mc_runs, and the list `days`."""
        return {**self.run.document(), "days": [_with_iso_times(asdict(day)) for day in self.days]}


def list_runs(engine: Engine, *, limit: int = 20, status: str | None = None) -> tuple[Run, ...]:
    """Return runs (`sql/operations/runs.sql`), the latest first.

    Args:
        engine: Where the staged tables are.
        limit: How many at most.
        status: running, done, failed or interrupted; None for all.

    Raises:
        EngineError: The engine failed, or an older version made mc_runs.
    """
    return _runs(engine, limit=limit, status=status)


def find_run(engine: Engine, run_id: str) -> RunDetails:
    """Return a run with its days (`sql/operations/run_days.sql`).

    Args:
        engine: Where the staged tables are.
        run_id: Its id, a beginning that no other run's id has, or `latest`.

    Raises:
        UsageError: There is no such run, or there are several; the message says which come near.
        EngineError: The engine failed, or an older version made mc_runs.
    """
    found = _runs(engine, limit=1) if run_id == LATEST else _runs(engine, limit=_SHOWN, prefix=run_id)
    exact = [run for run in found if run.run_id == run_id]
    if not found:
        raise _unknown(engine, run_id)
    if len(found) > 1 and not exact:
        ids = ", ".join(run.run_id for run in found)
        raise UsageError(f"Several runs begin with {run_id!r}, such as {ids}.", hint="Give more of the id.")
    run = (exact or found)[0]
    rows = engine.query(templates.query("operations/run_days", params={"run_id": run.run_id})).to_pylist()
    return RunDetails(run, tuple(RunDay(**row) for row in rows))


def _runs(engine: Engine, *, limit: int, status: str | None = None, prefix: str = "") -> tuple[Run, ...]:
    version = engine.version(RUNS.name)
    if version is not None and version < RUNS.version:
        raise EngineError(
            f"{RUNS.name} was made by an older version of microconv and lacks columns.",
            hint="Run `microconv sync`: it adds them.",
        )
    query = templates.query("operations/runs", params={"status": status, "prefix": prefix, "most": limit})
    return tuple(Run(**row) for row in engine.query(query).to_pylist())


def _unknown(engine: Engine, run_id: str) -> UsageError:
    known = [run.run_id for run in _runs(engine, limit=_COMPARED)]
    if not known:
        return UsageError("There is no run yet.", hint="Run `microconv sync` first.")
    near = difflib.get_close_matches(run_id, known, n=1, cutoff=0.4)
    hint = f"The nearest is {near[0]}." if near else f"The latest is {known[0]}."
    return UsageError(f"There is no run {run_id!r}.", hint=f"{hint} `microconv runs list` names them.")


def _with_iso_times(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in columns.items()}
