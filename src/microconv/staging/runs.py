"""The log of runs: what each sync did, how it ended, and which days it staged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Heading, Sheet

LARGEST_DRIFT = timedelta(minutes=5)
"""How far clocks may differ without being called wrong."""
LATEST = "latest"
"""The word that stands for the id of the latest run."""

_COMPARED = 1_000
_NEAR = 3
_LISTED = 20
_IN_THE_LIST = ("run_id", "status", "started_at", "seconds", "shards_seen", "shards_staged", "bytes_billed")
_OF_A_DAY = ("property", "event_date", "shard", "source_rows", "events", "duplicates_removed")


@dataclass(frozen=True)
class Run:
    """One sync, with the columns of mc_runs; None where it did not come that far."""

    run_id: str = column("run", is_whole=True)
    status: str = column("status")
    started_at: datetime = column("began", wording.minute)
    ended_at: datetime | None = column("ended", wording.minute)
    owner: str | None = column("owner")
    version: str | None = column("microconv")
    config_fingerprint: str | None = column("configuration")
    taxonomy: str | None = column("taxonomy")
    taxonomy_fingerprint: str | None = column("taxonomy fingerprint")
    shards_seen: int | None = column("days seen", wording.count)
    shards_staged: int | None = column("staged", wording.count)
    shards_skipped: int | None = column("unchanged", wording.count)
    rows_events: int | None = column("events", wording.count)
    rows_sessions: int | None = column("sessions", wording.count)
    rows_micro_conversions: int | None = column("micro-conversions", wording.count)
    duplicates_removed: int | None = column("duplicates", wording.count)
    bytes_billed: int | None = column("billed", wording.billed)
    seconds: float | None = column("took", wording.elapsed)
    error: str | None = column("error")
    facts: str | None = column("facts")
    number: int | None = column("number", wording.count)

    def is_of_the_future(self, now: datetime) -> bool:
        """Whether it says that it began later than now: a clock was wrong then, or is wrong now."""
        return self.started_at > now + LARGEST_DRIFT


@dataclass(frozen=True)
class RunsResult(Result):
    """Runs, the latest first."""

    row_type = Run
    runs: tuple[Run, ...]
    sentence: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Run, ...]:
        """The runs."""
        return self.runs

    def sheets(self) -> tuple[Sheet | str]:
        """Return one table, of what tells runs apart; all else is told of a single run."""
        if not self.runs:
            return ("No such run.",)
        return (sheet("Runs, the latest first", self.runs, Run, only=_IN_THE_LIST),)

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the columns of mc_runs, times as ISO strings."""
        return {"runs": super().document()["runs"]}


@dataclass(frozen=True)
class RunDay:
    """One day that is staged as a run left it; counts are rows."""

    property: str = column("property")
    event_date: date = column("day")
    shard: str = column("shard")
    kind: str = column("kind")
    source_rows: int | None = column("rows read", wording.count)
    events: int = column("events", wording.count)
    duplicates_removed: int | None = column("duplicates", wording.count)
    consentless_events: int | None = column("without consent", wording.count)
    staged_at: datetime = column("staged", wording.minute)


@dataclass(frozen=True)
class RunDetails(Result):
    """A run, and the days whose rows are still its own: those that no later run staged again."""

    row_type = RunDay
    run: Run
    days: tuple[RunDay, ...]
    sentence: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[RunDay, ...]:
        """The days."""
        return self.days

    def sheets(self) -> Iterator[Sheet | str]:
        """Yield what is known of the run, and its days."""
        facts = tuple(each for each in self._facts() if each[1])
        yield Sheet(f"Run {self.run.run_id}", (Heading(""), Heading("")), facts)
        if self.days:
            yield sheet("Days that are still staged as this run left them", self.days, RunDay, only=_OF_A_DAY)
        else:
            yield "No day is still staged as this run left it."

    def _facts(self) -> Iterator[tuple[str, str | None]]:
        run = self.run
        yield "status", run.status
        yield "error", run.error
        yield "began", wording.second(run.started_at)
        yield "ended", wording.second(run.ended_at)
        yield "took", None if run.seconds is None else wording.elapsed(run.seconds)
        yield "number", None if run.number is None else wording.count(run.number)
        yield "owner", run.owner
        yield "microconv", run.version
        yield "configuration", run.config_fingerprint
        yield "taxonomy", f"{run.taxonomy or ''} {run.taxonomy_fingerprint or ''}".strip()
        yield "billed", wording.human_bytes(run.bytes_billed) if run.bytes_billed else None
        counts = {
            "days seen": run.shards_seen,
            "days staged": run.shards_staged,
            "days unchanged": run.shards_skipped,
            "events after it": run.rows_events,
            "sessions after it": run.rows_sessions,
            "micro-conversions after it": run.rows_micro_conversions,
            "duplicates left out": run.duplicates_removed,
        }
        yield from ((name, wording.count(number)) for name, number in counts.items() if number is not None)

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the columns of mc_runs, and the list `days`."""
        return wording.iso_dates({**asdict(self.run), "days": [asdict(day) for day in self.days]})  # type: ignore[no-any-return]  # a tree


def list_runs(engine: Engine, *, limit: int = _LISTED, status: str | None = None) -> RunsResult:
    """Return runs (`sql/operations/runs.sql`), the latest first.

    Args:
        engine: Where the staged tables are.
        limit: How many at most.
        status: running, done, failed or interrupted; None for all.

    Raises:
        EngineError: The engine failed.
    """
    return RunsResult(_runs(engine, limit=limit, status=status))


def find_run(engine: Engine, run_id: str) -> RunDetails:
    """Return a run with its days (`sql/operations/run_days.sql`).

    Args:
        engine: Where the staged tables are.
        run_id: Its id, a beginning that no other run's id has, or `latest`.

    Raises:
        UsageError: There is no such run, or there are several; the message says which come near.
        EngineError: The engine failed.
    """
    found = _runs(engine, limit=1) if run_id == LATEST else _runs(engine, limit=_NEAR, prefix=run_id)
    exact = [run for run in found if run.run_id == run_id]
    if not found:
        raise _unknown(engine, run_id)
    if len(found) > 1 and not exact:
        ids = ", ".join(run.run_id for run in found)
        raise UsageError(f"Several runs begin with {run_id!r}, such as {ids}.", hint="Give more of the id.")
    run = (exact or found)[0]
    rows = engine.query(templates.query("operations/run_days", params={"run_id": run.run_id})).to_pylist()
    return RunDetails(run, tuple(RunDay(**row) for row in rows))


def in_order(found: Iterable[Run]) -> tuple[Run, ...]:
    """Return runs, the latest first, as `sql/operations/runs.sql` does."""
    return tuple(sorted(found, key=lambda run: (run.number or 0, run.started_at, run.run_id), reverse=True))


def _runs(engine: Engine, *, limit: int, status: str | None = None, prefix: str = "") -> tuple[Run, ...]:
    query = templates.query("operations/runs", params={"status": status, "prefix": prefix, "most": limit})
    return tuple(Run(**row) for row in engine.query(query).to_pylist())


def _unknown(engine: Engine, run_id: str) -> UsageError:
    known = [run.run_id for run in _runs(engine, limit=_COMPARED)]
    if not known:
        return UsageError("There is no run yet.", hint="Run `microconv sync` first.")
    near = difflib.get_close_matches(run_id, known, n=1, cutoff=0.4)
    hint = f"The nearest is {near[0]}." if near else f"The latest is {known[0]}."
    return UsageError(f"There is no run {run_id!r}.", hint=f"{hint} `microconv runs list` names them.")


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of the log of runs, for any run."""
    yield None, templates.query("operations/runs", params={"status": None, "prefix": "", "most": _LISTED})
    yield None, templates.query("operations/run_days", params={"run_id": "20240101T000000Z-000000"})
