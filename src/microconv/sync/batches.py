"""Sync: plan what changed, stage it batch by batch, record it. Each batch of days is replaced in one transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from microconv import __version__, exports, staging, tables, templates
from microconv.engines.base import Change, DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.errors import EngineError, MicroconvError, SourceError

if TYPE_CHECKING:
    from microconv.config import Config
    from microconv.engines.base import Engine
    from microconv.exports import Shard, ShardSchema
    from microconv.taxonomy import Taxonomy

Reason = Literal["new", "changed", "replaced", "taxonomy"]

BATCH_ROWS = 1_200_000
"""About how many rows are staged in one transaction: enough to use all cores, little enough to stay in memory."""
_EVENT_TIME_SLACK_SECONDS = 3600


@dataclass(frozen=True)
class PlannedDay:
    """A day that needs staging, and why."""

    shard: Shard
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """What a sync is about to do; `skipped` days are staged already from the same shard under the same taxonomy."""

    seen: int
    days: tuple[PlannedDay, ...]

    @property
    def skipped(self) -> int:
        """Days that are up to date."""
        return self.seen - len(self.days)


@dataclass(frozen=True)
class Progress:
    """How far a sync is: days done of all planned, and what comes next."""

    done: int
    total: int
    step: str


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. `rows` are the rows the tables hold after it; `duplicates_removed` counts this run's days."""

    run_id: str
    status: Literal["done", "failed", "interrupted"]
    shards: dict[str, int]
    rows: dict[str, int]
    duplicates_removed: int
    seconds: float
    warnings: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """Return the JSON document of `microconv sync`; warnings go to the log, not here."""
        document = asdict(self)
        del document["warnings"]
        return document


@dataclass(frozen=True)
class _Readable:
    """A planned day whose shard could be opened."""

    planned: PlannedDay
    schema: ShardSchema

    @property
    def shard(self) -> Shard:
        return self.planned.shard

    @property
    def rows(self) -> int:
        # JSON is 1 to 2 kB an event, a tenth of that when compressed; only batches are sized by it.
        is_compressed = any(path.suffix == ".gz" for path in self.shard.files)
        return self.schema.rows or self.shard.bytes // (100 if is_compressed else 1000)


def prepare(engine: Engine, taxonomy: Taxonomy) -> None:
    """Create the tables that are missing, and the columns that the taxonomy's conditions read."""
    for table in tables.TABLES.values():
        extra = [column.column for column in staging.carried_columns(taxonomy)] if table is tables.EVENTS else []
        engine.ensure(table, extra)


def plan(engine: Engine, shards: Iterable[Shard], taxonomy: Taxonomy) -> Plan:
    """Compare the shards with what is staged: a day is planned when its shard or what decides its rows changed.

    A shard changed when its name, modified time or size did; of a file, rows and schema cannot change without these.
    """
    staged = {
        (row["property"], row["event_date"]): row
        for row in engine.query(templates.query("staging/staged_shards")).to_pylist()
    }
    fingerprint = staging.fingerprint(taxonomy)
    days = []
    chosen = exports.choose(shards)
    for shard in chosen:
        before = staged.get((shard.property_id, shard.day))
        if before is None:
            days.append(PlannedDay(shard, "new"))
        elif before["shard"] != shard.name:
            days.append(PlannedDay(shard, "replaced"))
        elif (before["modified_at"], before["bytes"]) != (shard.modified_at, shard.bytes):
            days.append(PlannedDay(shard, "changed"))
        elif before["staging_fingerprint"] != fingerprint:
            days.append(PlannedDay(shard, "taxonomy"))
    return Plan(len(chosen), tuple(days))


def sync(
    engine: Engine,
    config: Config,
    taxonomy: Taxonomy,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> SyncResult:
    """Stage every day that changed and record the run.

    A shard that cannot be read stops its own day only: the others are staged, then the error is raised.

    Raises:
        SourceError: no shards, or one or more days that could not be read (named; the rest is staged).
        EngineError: the engine failed; batches that were committed stay, the next run does the rest.
    """
    started = time.monotonic()
    shards = [shard for source in config.sources for shard in exports.list_shards(source.path, source.property)]
    prepare(engine, taxonomy)
    run = _Run(engine, taxonomy, now)
    run.close_killed_runs()
    planned = plan(engine, shards, taxonomy)
    run.row |= {"shards_seen": planned.seen, "shards_skipped": planned.skipped}
    run.save("running")
    failures: list[MicroconvError] = []
    warnings: list[str] = []
    try:
        readable = list(_readable(planned.days, failures))
        done = 0
        for batch in _batches(readable):
            on_progress(Progress(done, len(readable), _describe(batch)))
            for part, outcome in _stage_or_split(engine, batch, taxonomy, run.row["run_id"], now):
                if isinstance(outcome, MicroconvError):
                    failures.append(outcome)
                else:
                    run.row["shards_staged"] += len(part)
                    run.row["duplicates_removed"] += sum(day["duplicates_removed"] for day in outcome)
                    warnings += _stray_days(outcome, ZoneInfo(config.project.timezone))
            done += len(batch)
        on_progress(Progress(done, len(readable), "done"))
        if failures:
            raise _all_failures(failures, run.row["shards_staged"])
    except KeyboardInterrupt:
        run.close("interrupted", seconds=time.monotonic() - started, error="interrupted")
        raise
    except MicroconvError as error:
        run.close("failed", seconds=time.monotonic() - started, error=error.message)
        raise
    counted = engine.query(templates.query("staging/table_rows")).to_pylist()
    rows = {row["table_name"]: row["table_rows"] for row in sorted(counted, key=lambda row: str(row["table_name"]))}
    run.row |= {f"rows_{name.removeprefix('mc_')}": count for name, count in rows.items()}
    seconds = round(time.monotonic() - started, 3)
    run.save("done", seconds=seconds)
    return SyncResult(
        run_id=run.row["run_id"],
        status="done",
        shards={"seen": planned.seen, "staged": run.row["shards_staged"], "skipped": planned.skipped},
        rows=rows,
        duplicates_removed=run.row["duplicates_removed"],
        seconds=seconds,
        warnings=tuple(warnings),
    )


class _Run:
    """The row of mc_runs that this run keeps up to date."""

    def __init__(self, engine: Engine, taxonomy: Taxonomy, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        started_at = now()
        self.row: dict[str, Any] = {
            "run_id": f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            "started_at": started_at,
            "ended_at": None,
            "version": __version__,
            "taxonomy": f"{taxonomy.name} {taxonomy.version}",
            "taxonomy_fingerprint": taxonomy.fingerprint,
            "shards_staged": 0,
            "duplicates_removed": 0,
        }

    def close_killed_runs(self) -> None:
        """Whoever holds the engine is alone: a run that still counts as running was killed."""
        for row in self._engine.query(templates.query("staging/open_runs")).to_pylist():
            self._engine.apply(
                [PutRow(tables.RUNS, {**row, "status": "interrupted", "error": "the process ended without a word"})]
            )

    def save(self, status: str, *, seconds: float | None = None, error: str | None = None) -> None:
        ended_at = None if status == "running" else self._now()
        self.row |= {"status": status, "ended_at": ended_at, "seconds": seconds, "error": error}
        self._engine.apply([PutRow(tables.RUNS, self.row)])

    def close(self, status: str, *, seconds: float, error: str) -> None:
        """Save how a run ended early, if that is still possible; on a full disk it is not, and the next run does it."""
        with suppress(EngineError):
            self.save(status, seconds=seconds, error=error)


def _readable(days: Sequence[PlannedDay], failures: list[MicroconvError]) -> Iterator[_Readable]:
    for day in days:
        try:
            yield _Readable(day, exports.read_schema(day.shard))
        except SourceError as error:
            failures.append(error)


def _batches(days: Sequence[_Readable]) -> Iterator[tuple[_Readable, ...]]:
    """Group days that one query can read: same property, schema and standing.

    NDJSON days go alone: their rows cannot be counted beforehand, so nothing could tell whose a stray row is.
    """

    def kind(day: _Readable) -> tuple[str, str, bool]:
        return day.shard.property_id, day.schema.fingerprint, day.shard.is_provisional

    for _, group in groupby(days, key=kind):
        batch: list[_Readable] = []
        for day in group:
            if batch and (day.schema.rows is None or sum(each.rows for each in batch) + day.rows > BATCH_ROWS):
                yield tuple(batch)
                batch = []
            batch.append(day)
        if batch:
            yield tuple(batch)


def _stage_or_split(
    engine: Engine, batch: tuple[_Readable, ...], taxonomy: Taxonomy, run_id: str, now: Callable[[], datetime]
) -> Iterator[tuple[tuple[_Readable, ...], list[dict[str, Any]] | MicroconvError]]:
    """Stage a batch; when a shard in it is damaged, stage its days one by one, so that only the damaged day fails."""
    try:
        yield batch, _stage(engine, batch, taxonomy, run_id, now())
    except SourceError as error:
        if len(batch) == 1:
            yield batch, error
            return
        for day in batch:
            yield from _stage_or_split(engine, (day,), taxonomy, run_id, now)


def _stage(
    engine: Engine, batch: tuple[_Readable, ...], taxonomy: Taxonomy, run_id: str, staged_at: datetime
) -> list[dict[str, Any]]:
    """Read a batch of days and replace them, with every session and occurrence they touch, in one transaction."""
    first = batch[0].shard
    dates = tuple(day.shard.day for day in batch)
    engine.read_shards([day.shard for day in batch], batch[0].schema)
    engine.materialise(
        staging.events(first.property_id, batch[0].schema, taxonomy, is_provisional=first.is_provisional),
        staging.CHANGED_EVENTS,
    )
    days: list[dict[str, Any]] = engine.query(staging.staged_days()).to_pylist()
    _refuse_foreign_days(batch, days)
    _refuse_incomplete_events(batch, days)
    engine.materialise(staging.touched_sessions(first.property_id, dates), staging.TOUCHED_SESSIONS)
    engine.materialise(staging.neighbour_events(first.property_id, dates, taxonomy), staging.NEIGHBOUR_EVENTS)
    engine.materialise(staging.sessions(taxonomy), staging.SESSIONS)
    engine.materialise(staging.moved_sessions(), staging.MOVED_SESSIONS)
    engine.materialise(staging.micro_conversions(taxonomy), staging.MICRO_CONVERSIONS)
    by_date = {day["event_date"]: day for day in days}
    changes: list[Change] = [
        DeleteDays(tables.EVENTS, first.property_id, dates),
        InsertScratch(tables.EVENTS, staging.CHANGED_EVENTS),
        DeleteKeys(tables.SESSIONS, "client_key", staging.TOUCHED_SESSIONS),
        InsertScratch(tables.SESSIONS, staging.SESSIONS),
        DeleteDays(tables.MICRO_CONVERSIONS, first.property_id, dates),
        DeleteKeys(tables.MICRO_CONVERSIONS, "session_key", staging.TOUCHED_SESSIONS),
        DeleteKeys(tables.MICRO_CONVERSIONS, "session_key", staging.MOVED_SESSIONS),
        InsertScratch(tables.MICRO_CONVERSIONS, staging.MICRO_CONVERSIONS),
    ]
    fingerprint = staging.fingerprint(taxonomy)
    for day in batch:
        counts = by_date.get(day.shard.day, {"events": 0, "duplicates_removed": 0, "consentless_events": 0})
        state = {
            "property": day.shard.property_id,
            "event_date": day.shard.day,
            "shard": day.shard.name,
            "kind": day.shard.kind,
            "modified_at": day.shard.modified_at,
            "bytes": day.shard.bytes,
            "source_rows": counts["events"] + counts["duplicates_removed"],
            "schema_fingerprint": day.schema.fingerprint,
            "staging_fingerprint": fingerprint,
            "events": counts["events"],
            "duplicates_removed": counts["duplicates_removed"],
            "consentless_events": counts["consentless_events"],
            "run_id": run_id,
            "staged_at": staged_at,
        }
        changes.append(PutRow(tables.SHARDS, state))
    engine.apply(changes)
    return days


def _refuse_foreign_days(batch: tuple[_Readable, ...], days: Sequence[dict[str, Any]]) -> None:
    """A shard holds its own day and nothing else; otherwise replacing the day would double or lose the strangers."""
    found = {day["event_date"]: day["events"] + day["duplicates_removed"] for day in days}
    for day in batch:
        if day.schema.rows in (None, found.get(day.shard.day, 0)):
            found.pop(day.shard.day, None)
    if found:
        shards = ", ".join(day.shard.name for day in batch)
        strangers = ", ".join("no date" if stranger is None else stranger.isoformat() for stranger in found)
        raise SourceError(
            f"The rows of {shards} are not all of the shard's own day (event_date found: {strangers}); "
            "it was not staged.",
            hint="A shard must hold one day; check how the files were written.",
        )


def _refuse_incomplete_events(batch: tuple[_Readable, ...], days: Sequence[dict[str, Any]]) -> None:
    """An event without a moment or a name has no place in any order or funnel, and GA4 writes none."""
    incomplete = sum(day["incomplete_events"] for day in days)
    if incomplete:
        raise SourceError(
            f"{incomplete} rows of {_describe(batch)} lack event_timestamp or event_name; it was not staged.",
            hint="Export the whole events_YYYYMMDD table again, nesting intact.",
        )


def _stray_days(days: Sequence[dict[str, Any]], zone: ZoneInfo) -> Iterator[str]:
    """Warn when events lie outside their day in the configured zone: then the zone is probably not the property's."""
    for day in days:
        start = datetime.combine(day["event_date"], datetime.min.time(), tzinfo=zone)
        end = datetime.combine(date.fromordinal(day["event_date"].toordinal() + 1), datetime.min.time(), tzinfo=zone)
        early = (start - day["first_event_at"]).total_seconds()
        late = (day["last_event_at"] - end).total_seconds()
        if max(early, late) > _EVENT_TIME_SLACK_SECONDS:
            yield (
                f"Events of {day['event_date']} reach {max(early, late) / 3600:.0f} h outside that day in {zone.key}: "
                "is project.timezone the property's reporting time zone?"
            )


def _all_failures(failures: Sequence[MicroconvError], staged: int) -> MicroconvError:
    if len(failures) == 1:
        first = failures[0]
        return SourceError(f"{first.message} {staged} other changed days were staged.", hint=first.hint)
    messages = " ".join(f"({number}) {failure.message}" for number, failure in enumerate(failures, start=1))
    return SourceError(
        f"{len(failures)} days could not be staged, {staged} others were: {messages}",
        hint="Export or copy these days again, then run `microconv sync`.",
    )


def _describe(batch: Sequence[_Readable]) -> str:
    names = [day.shard.name for day in batch]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
