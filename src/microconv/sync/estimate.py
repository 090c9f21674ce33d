"""What a sync would cost, before it spends anything: bytes billed for reading the export, and for staging it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from microconv import staging
from microconv.sync.batches import batches, describe

if TYPE_CHECKING:
    from microconv.engines.base import Engine
    from microconv.exports import OpenShard, Shard, Source
    from microconv.sync.plan import Plan
    from microconv.taxonomy import Taxonomy

STAGED_BYTES_PER_EVENT = 1_000
"""Bytes billed per event for all that follows its reading: sessions, micro-conversions and the transaction.

Reckoned from the columns that the staging templates read of the staged tables, with text lengths as in a shop's export;
a client with years of sessions costs more. What a run was really billed stands in mc_runs.
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


def estimate(engine: Engine | None, planned: Plan, shards: Mapping[Shard, Source], taxonomy: Taxonomy) -> Estimate:
    """Estimate what staging these days would be billed. Reads metadata and makes dry runs, which are free.

    Without an engine (there is no database yet) only what it takes to get at the shards counts.

    Raises:
        SourceError: a shard cannot be read.
    """
    days = [day.shard for day in planned.days]
    to_open = [(shard, shards[shard].bytes_to_open(shard)) for shard in days]
    steps = [Step(f"pull {shard.name}", size, "metadata") for shard, size in to_open if size]
    if engine is not None and engine.is_billed:
        steps += _staging(engine, [shards[shard].open(shard) for shard in days], taxonomy)
    return Estimate(tuple(steps))


def _staging(engine: Engine, opened: Sequence[OpenShard], taxonomy: Taxonomy) -> Iterator[Step]:
    for batch in batches(opened, engine.batch_rows):
        first = batch[0]
        engine.read_shards([one.shard for one in batch], first.schema)
        query = staging.events(
            first.shard.property_id, first.schema, taxonomy, is_provisional=first.shard.is_provisional
        )
        yield Step(f"read {describe(batch)}", engine.estimate(query) or 0, "dry run")
        yield Step(f"stage {describe(batch)}", sum(one.rows for one in batch) * STAGED_BYTES_PER_EVENT, "reckoned")
