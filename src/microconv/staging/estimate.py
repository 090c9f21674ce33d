"""What a sync would cost, before it spends anything: bytes billed for reading the export, and for staging it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from microconv.engines.base import Engine
from microconv.exports import OpenShard, Shard, Source
from microconv.queries import templates
from microconv.staging import batch_queries, profile
from microconv.staging.batches import batches, describe
from microconv.staging.external import own_table
from microconv.staging.rules import Rules
from microconv.staging.sync_plan import SyncPlan, restaged_batches

BYTES_PER_EVENT = 1_000
"""Bytes billed per event for all that follows its reading: sessions, micro-conversions and the transaction.

Reckoned from the columns that the templates read of an event's staged rows (713 in a shop's export), rounded up. What a
run was really billed stands in mc_runs.
"""
BYTES_PER_ROW: Mapping[str, int] = {"mc_sessions": 600, "mc_micro_conversions": 16}
"""Bytes billed per row that is staged already, once a batch: earlier sessions of a client may lie on any day.

Sessions (230 bytes) are read, and partitions that hold one of the clients rewritten; of occurrences, their session key.
"""


@dataclass(frozen=True)
class Step:
    """One step of a run. `how` is `dry run` (BigQuery's own word), `metadata` or `reckoned` (an estimate of ours)."""

    name: str
    bytes: int
    how: Literal["dry run", "metadata", "reckoned"]


@dataclass(frozen=True)
class Estimate:
    """What a run would be billed; no steps where nothing is billed."""

    steps: tuple[Step, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all steps."""
        return sum(step.bytes for step in self.steps)


def estimate(engine: Engine | None, planned: SyncPlan, shards: Mapping[Shard, Source], rules: Rules) -> Estimate:
    """Estimate what staging these days would be billed. Reads metadata and makes dry runs, which are free.

    Without an engine (there is no database yet) only what it takes to get at the shards counts.

    Raises:
        SourceError: a shard cannot be read.
    """
    days = [day.shard for day in planned.days if not day.is_from_events]
    to_open = [(shard, shards[shard].bytes_to_open(shard)) for shard in days]
    steps = [Step(f"pull {shard.name}", size, "metadata") for shard, size in to_open if size]
    if engine is not None and engine.is_billed:
        steps += _restaging(engine, planned, rules)
        steps += _staging(engine, [shards[shard].open(shard) for shard in days], rules)
        for place in (each.place for each in planned.external.tables):
            if place.path is None:
                query = own_table(place.file, place.columns)
                steps.append(Step(f"read {place.file}", engine.estimate(query) or 0, "dry run"))
    return Estimate(tuple(steps))


def _staging(engine: Engine, opened: Sequence[OpenShard], rules: Rules) -> Iterator[Step]:
    standing = _standing(engine)
    for batch in batches(opened, engine.batch_rows):
        first = batch[0]
        engine.read_shards([one.shard for one in batch], first.schema)
        query = batch_queries.events(
            first.shard.property_id, first.schema, rules, is_provisional=first.shard.is_provisional
        )
        yield Step(f"read {describe(batch)}", engine.estimate(query) or 0, "dry run")
        if rules.is_profiled:
            query = profile.query(first.shard.property_id, first.schema)
            yield Step(f"profile {describe(batch)}", engine.estimate(query) or 0, "dry run")
        events = sum(one.rows for one in batch)
        yield Step(f"stage {describe(batch)}", events * BYTES_PER_EVENT + standing, "reckoned")


def _restaging(engine: Engine, planned: SyncPlan, rules: Rules) -> Iterator[Step]:
    """Price the days that are made again from their staged events: no shard of theirs is read."""
    events = {(day.shard.property_id, day.shard.day): day.events for day in planned.days}
    standing = _standing(engine)
    for property_id, dates in restaged_batches(planned.days, engine.batch_rows):
        named = f"{dates[0]}" if len(dates) == 1 else f"{min(dates)} to {max(dates)}"
        query = batch_queries.events_again(property_id, dates, rules)
        yield Step(f"read staged events of {named}", engine.estimate(query) or 0, "dry run")
        rows = sum(events[property_id, day] for day in dates)
        yield Step(f"stage {named} again", rows * BYTES_PER_EVENT + standing, "reckoned")


def _standing(engine: Engine) -> int:
    """Reckon what each batch costs for the rows that are staged already. Counting rows is free."""
    if engine.version("mc_sessions") is None:
        return 0
    counted = engine.query(templates.query("staging/table_rows")).to_pylist()
    return sum(row["table_rows"] * BYTES_PER_ROW.get(row["table_name"], 0) for row in counted)
