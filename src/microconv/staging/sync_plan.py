"""What a sync has to do: which days changed since they were staged, and why. Metadata alone decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pydantic import Field

from microconv import exports
from microconv.config.sections import Period
from microconv.config.values import Switch
from microconv.engines.base import Engine
from microconv.exports import Shard, Source
from microconv.staging import batch_queries
from microconv.staging.rules import Rules

Reason = Literal["new", "changed", "replaced", "over", "taxonomy", "upgrade", "properties", "own hosts", "full refresh"]

REASONS: Mapping[Reason, str] = {
    "new": "not staged yet",
    "changed": "the shard changed: re-exported, or late events arrived",
    "replaced": "another shard serves the day now: daily after intraday or fresh",
    "over": "the day was not over when it was staged, and is now",
    "taxonomy": "the taxonomy changed",
    "upgrade": "this version of microconv stages the day differently",
    "properties": "funnels or `carry` name other properties than the day carries",
    "own hosts": "`own_hosts` names other hosts than when the day was staged",
    "full refresh": "--full-refresh asks for it",
}


class Scope(Period):
    """Which days a sync looks at, and how."""

    full_refresh: Switch = Field(default=False, description="Stage every day again, whether it changed or not.")
    newest_first: Switch = Field(default=False, description="Begin with the latest day: for long back-fills.")


@dataclass(frozen=True)
class PlannedDay:
    """A day that needs staging, and why. `is_emptied`: its file has no bytes, and had some when the day was staged."""

    shard: Shard
    reason: Reason
    is_emptied: bool = False


@dataclass(frozen=True)
class KeptDay:
    """A day that stays as it was staged, since its shard is gone; at most a lesser one is there."""

    property_id: str
    day: date
    shard: str


@dataclass(frozen=True)
class SyncPlan:
    """What a sync is about to do.

    `seen` counts the days that have a shard; those not in `days` are staged already, from it and in the same way.
    """

    seen: int
    days: tuple[PlannedDay, ...]
    kept: tuple[KeptDay, ...] = ()

    @property
    def skipped(self) -> int:
        """Days that are up to date."""
        return self.seen - len(self.days)

    def reasons(self) -> dict[Reason, int]:
        """Count the planned days by reason."""
        return dict(Counter(day.reason for day in self.days))

    def document(self) -> dict[str, Any]:
        """Return the JSON document of `microconv sync --plan`."""
        return {
            "seen": self.seen,
            "skipped": self.skipped,
            "days": [
                {
                    "property": day.shard.property_id,
                    "date": day.shard.day.isoformat(),
                    "shard": day.shard.name,
                    "kind": day.shard.kind,
                    "bytes": day.shard.bytes,
                    "modified_at": day.shard.modified_at.isoformat(),
                    "reason": day.reason,
                }
                for day in self.days
            ],
            "kept": [
                {"property": kept.property_id, "date": kept.day.isoformat(), "shard": kept.shard} for kept in self.kept
            ],
        }


def find_shards(sources: Sequence[Source], scope: Scope) -> dict[Shard, Source]:
    """List the shards of all sources that lie in the scope.

    Raises:
        SourceError: a source cannot be listed.
    """
    return {shard: source for source in sources for shard in source.shards(scope.since, scope.until)}


def plan(
    engine: Engine | None, shards: Iterable[Shard], rules: Rules, scope: Scope, *, today: date | None = None
) -> SyncPlan:
    """Compare the shards with what the engine holds; without one (there is no database yet) nothing is staged."""
    return compare(staged_days(engine) if engine else (), shards, rules, scope, today=today)


def staged_days(engine: Engine) -> list[Mapping[str, Any]]:
    """Return the staged days (`sql/staging/staged_shards.sql`); none where there is no table yet.

    A table of an older microconv is read as it is: what it lacks is NULL.
    """
    if engine.version("mc_shards") is None:
        return []
    rows: list[Mapping[str, Any]] = engine.query(batch_queries.staged_shards(engine.columns("mc_shards"))).to_pylist()
    return rows


def compare(
    rows: Iterable[Mapping[str, Any]],
    shards: Iterable[Shard],
    rules: Rules,
    scope: Scope,
    *,
    today: date | None = None,
) -> SyncPlan:
    """Compare the shards with the staged days: one is planned when its shard or what decides its rows changed.

    A shard changed when its name, modified time, size or schema did. A daily shard is never replaced by a lesser kind:
    a day whose daily shard is gone is kept. `today` is that of the property's zone: a day that was staged before it was
    over, from a shard that did not change since, is staged once more, so that it counts as complete. `rows` have the
    columns of `sql/staging/staged_shards.sql`.
    """
    staged = {(row["property"], row["event_date"]): row for row in rows}
    chosen = [shard for shard in exports.choose(shards) if scope.holds(shard.day)]
    days, kept = [], []
    for shard in chosen:
        before = staged.pop((shard.property_id, shard.day), None)
        if before and exports.PRECEDENCE[before["kind"]] < exports.PRECEDENCE[shard.kind]:
            kept.append(KeptDay(shard.property_id, shard.day, before["shard"]))
        elif reason := _reason(shard, before, scope, rules, today):
            is_emptied = before is not None and shard.table is None and before["bytes"] > 0 == shard.bytes
            days.append(PlannedDay(shard, reason, is_emptied))
    properties = {shard.property_id for shard in chosen}
    kept += [
        KeptDay(property_id, day, row["shard"])
        for (property_id, day), row in staged.items()
        if property_id in properties and scope.holds(day)
    ]
    if scope.newest_first:
        days.sort(key=lambda day: day.shard.day, reverse=True)
    return SyncPlan(len(chosen), tuple(days), tuple(sorted(kept, key=lambda each: (each.property_id, each.day))))


def _reason(
    shard: Shard, before: Mapping[str, Any] | None, scope: Scope, rules: Rules, today: date | None
) -> Reason | None:
    if before is None or before["shard"] != shard.name:
        return "new" if before is None else "replaced"
    if (before["modified_at"], before["bytes"]) != (shard.modified_at, shard.bytes):
        return "changed"
    if reason := _reason_of_rules(before, rules, shard.property_id):
        return reason
    # After the rules, since a schema is what they read of a shard.
    if shard.table and before["schema_fingerprint"] != shard.table.schema.fingerprint:
        return "changed"
    is_over = today is not None and shard.day < today
    if is_over and shard.is_provisional and before.get("is_day_over") is False:
        return "over"
    return "full refresh" if scope.full_refresh else None


def _reason_of_rules(before: Mapping[str, Any], rules: Rules, property_id: str) -> Reason | None:
    if before["staging_fingerprint"] != rules.fingerprint:
        return "upgrade" if before["taxonomy_fingerprint"] == rules.taxonomy.fingerprint else "taxonomy"
    if (before["carried_columns"] or "") != rules.carried_columns:
        return "properties"
    return "own hosts" if (before["own_hosts"] or "") != ",".join(rules.own_hosts.get(property_id, ())) else None
