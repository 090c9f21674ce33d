"""What another taxonomy would stage again: days from their staged events, days from shards, and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from microconv import wording
from microconv.engines.base import Engine
from microconv.exports import Shard, Source
from microconv.staging.estimate import estimate
from microconv.staging.rules import Rules
from microconv.staging.sync_plan import Reason, SyncPlan

_OF_RULES: frozenset[Reason] = frozenset(
    {"taxonomy", "taxonomy from staged events", "properties", "properties from staged events", "upgrade"}
)


@dataclass(frozen=True)
class Restaging:
    """Days that are staged and would be staged again. `bytes` are those billed, or where nothing is, those read."""

    days_from_staged_events: int
    days_from_shards: int
    bytes: int
    is_billed: bool

    @property
    def sentence(self) -> str:
        """Say it."""
        if not self.days_from_staged_events + self.days_from_shards:
            return "Restaging: no staged day."
        parts = []
        if self.days_from_staged_events:
            parts.append(f"{wording.plural(self.days_from_staged_events, 'day')} from staged events")
        if self.days_from_shards:
            parts.append(f"{wording.plural(self.days_from_shards, 'day')} from shards")
        size = f"about {wording.human_bytes(self.bytes)} {'billed' if self.is_billed else 'of shards read'}"
        return f"Restaging: {' and '.join(parts)}; {size if self.bytes else 'no shard is read'}."


def restaging(engine: Engine | None, planned: SyncPlan, shards: Mapping[Shard, Source], rules: Rules) -> Restaging:
    """Price what a plan stages again for the sake of the rules.

    Raises:
        SourceError: a shard cannot be read.
    """
    days = tuple(day for day in planned.days if day.reason in _OF_RULES)
    from_shards = [day.shard for day in days if not day.is_from_events]
    is_billed = engine is not None and engine.is_billed
    size = (
        estimate(engine, replace(planned, days=days), shards, rules).bytes
        if is_billed
        else sum(shard.bytes for shard in from_shards)
    )
    return Restaging(len(days) - len(from_shards), len(from_shards), size, is_billed)
