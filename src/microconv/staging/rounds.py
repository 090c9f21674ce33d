"""Rounds of staging: batch after batch, then another look for days that changed while they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from microconv.engines.base import Engine
from microconv.errors import MicroconvError, SourceError, VanishedError
from microconv.exports import OpenShard, Shard, Source
from microconv.queries import templates
from microconv.staging.batches import Batch, Stamp, batches, describe, restage, stage
from microconv.staging.record import RunRecord
from microconv.staging.rules import Rules
from microconv.staging.sync_plan import PlannedDay, Scope, SyncPlan, find_shards, plan, restaged_batches
from microconv.wording import plural

MOST_ROUNDS = 3
"""How often a run looks for days that changed while it staged them; what changes even then waits for the next run."""
_Day = tuple[str, date]


@dataclass(frozen=True)
class Progress:
    """How far a sync is: days done of all planned, and what comes next."""

    run_id: str
    done: int
    total: int
    step: str


@dataclass
class Rounds:
    """The staging of one run. `warnings` gather what its reader should look at; `run` what it did."""

    engine: Engine
    sources: Sequence[Source]
    rules: Rules
    run: RunRecord
    zone: ZoneInfo
    now: Callable[[], datetime]
    on_progress: Callable[[Progress], None]
    warnings: list[str] = field(default_factory=list)
    _failures: dict[_Day, tuple[Shard, MicroconvError]] = field(default_factory=dict)
    _staged: set[_Day] = field(default_factory=set)

    def stage(self, planned: SyncPlan, shards: Mapping[Shard, Source]) -> None:
        """Stage the days that are planned.

        Raises:
            SourceError: some days could not be read.
        """
        days = planned.days
        for _ in range(MOST_ROUNDS):
            self._stage_all(days, shards)
            days, shards = self._changed_meanwhile(days)
            if not days:
                break
        else:
            names = ", ".join(sorted(day.shard.name for day in days))
            self.warnings.append(f"{names} changed {MOST_ROUNDS} times while being staged: the next run does it again.")
        if self._failures:
            raise _all_failures([error for _, error in self._failures.values()], len(self._staged))

    def counted(self) -> dict[str, int]:
        """Return how many rows each table holds."""
        counted = self.engine.query(templates.query("staging/table_rows")).to_pylist()
        return {row["table_name"]: row["table_rows"] for row in sorted(counted, key=lambda row: str(row["table_name"]))}

    def _stage_all(self, days: Sequence[PlannedDay], shards: Mapping[Shard, Source]) -> None:
        done = 0

        def show(step: str) -> None:
            self.on_progress(Progress(self.run.run_id, done, len(days), step))

        for property_id, dates in restaged_batches(days, self.engine.batch_rows):
            show(f"{min(dates)} to {max(dates)} from staged events")
            restage(self.engine, property_id, dates, self.rules, Stamp(self.run.run_id, self.now(), self.zone))
            self._staged |= {(property_id, day) for day in dates}
            self.run.row["shards_staged"] = len(self._staged)
            done += len(dates)
        to_read = [day for day in days if not day.is_from_events]
        for batch in batches(self._opened(to_read, shards, show), self.engine.batch_rows):
            show(describe(batch))
            self._stage_or_split(batch)
            done += len(batch)
        done = len(days)
        show("done")

    def _opened(
        self, days: Sequence[PlannedDay], shards: Mapping[Shard, Source], show: Callable[[str], None]
    ) -> Iterator[OpenShard]:
        for day in days:
            if day.shard.table and not self.engine.is_billed:
                show(f"pulling {day.shard.name}")
            if day.is_emptied:
                self._fail(day.shard, _emptied(day.shard))
                continue
            try:
                yield shards[day.shard].open(day.shard)
            except SourceError as error:
                self._fail(day.shard, error)

    def _stage_or_split(self, batch: Batch) -> None:
        """Stage a batch; when a shard in it is damaged, stage its days one by one, so that only this one fails."""
        try:
            staged = stage(self.engine, batch, self.rules, Stamp(self.run.run_id, self.now(), self.zone))
        except SourceError as error:
            if len(batch) == 1:
                self._fail(batch[0].shard, error)
                return
            for one in batch:
                self._stage_or_split((one,))
        else:
            for one in batch:
                self._staged.add((one.shard.property_id, one.shard.day))
                self._failures.pop((one.shard.property_id, one.shard.day), None)
            self.run.row["shards_staged"] = len(self._staged)
            self.run.row["duplicates_removed"] += sum(day["duplicates_removed"] for day in staged)

    def _fail(self, shard: Shard, error: MicroconvError) -> None:
        self._failures[shard.property_id, shard.day] = shard, error

    def _changed_meanwhile(self, days: Sequence[PlannedDay]) -> tuple[tuple[PlannedDay, ...], dict[Shard, Source]]:
        """Look again at the days just staged or failed: which of them have another shard now?

        Intraday and fresh shards change all the time; their newer state waits for the next run.
        """
        if not days:
            return (), {}
        looked_at = [day.shard.day for day in days]
        shards = find_shards(self.sources, Scope(since=min(looked_at), until=max(looked_at)))
        tried = {(day.shard.property_id, day.shard.day) for day in days}
        again = plan(self.engine, shards, self.rules, Scope())
        present = {(shard.property_id, shard.day) for shard in shards}
        for key, (shard, error) in list(self._failures.items()):
            if isinstance(error, VanishedError) and key not in present:
                del self._failures[key]
                self.warnings.append(f"{shard.name} of property {shard.property_id} vanished while it was being read.")
        changed = tuple(day for day in again.days if self._is_worth_another_try(day, tried))
        return changed, shards

    def _is_worth_another_try(self, day: PlannedDay, tried: set[_Day]) -> bool:
        key = day.shard.property_id, day.shard.day
        if key not in tried:
            return False
        failed = self._failures.get(key)
        return day.shard != failed[0] if failed else not day.shard.is_provisional


def _all_failures(failures: Sequence[MicroconvError], staged: int) -> MicroconvError:
    if len(failures) == 1:
        first = failures[0]
        others = f"{plural(staged, 'other changed day')} {'was' if staged == 1 else 'were'} staged"
        return SourceError(f"{first.message} {others}.", hint=first.hint)
    messages = " ".join(f"({number}) {failure.message}" for number, failure in enumerate(failures, start=1))
    hints = tuple(dict.fromkeys(failure.hint for failure in failures))
    return SourceError(
        f"{len(failures)} days could not be staged, {staged} others were: {messages}",
        hint=hints[0] if len(hints) == 1 else "Correct these days as said, then run `microconv sync`.",
    )


def _emptied(shard: Shard) -> SourceError:
    """Return the error for a file without a byte in place of one that was staged: more likely cut off than true."""
    return SourceError(
        f"{shard.place} is empty, but events of {shard.day} are staged: they stay as they are.",
        hint="Copy the file again; or remove it, then the day stays as it is staged.",
    )
