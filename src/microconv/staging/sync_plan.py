"""What a sync has to do: which days changed since they were staged, and why. Metadata alone decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Literal

from pydantic import Field

from microconv import exports
from microconv.config.sections import Config, Period
from microconv.config.values import Switch
from microconv.engines.base import Engine
from microconv.exports import Shard, Source
from microconv.staging import batch_queries
from microconv.staging.external_plan import NOTHING_EXTERNAL, ExternalPlan
from microconv.staging.rules import Rules
from microconv.taxonomy import Taxonomy, version_key, went_back

Reason = Literal[
    "new",
    "changed",
    "replaced",
    "over",
    "taxonomy",
    "taxonomy from staged events",
    "upgrade",
    "properties",
    "properties from staged events",
    "own hosts",
    "profile",
    "time zone",
    "time zone from staged events",
    "full refresh",
]

REASONS: Mapping[Reason, str] = {
    "new": "not staged yet",
    "changed": "the shard changed: re-exported, or late events arrived",
    "replaced": "another shard serves the day now: daily after intraday or fresh",
    "over": "the day was not over when it was staged, and is now",
    "taxonomy": "the taxonomy changed",
    "taxonomy from staged events": "the taxonomy changed; the staged events have all that it asks, so no shard is read",
    "upgrade": "this version of microconv stages the day differently",
    "properties": "funnels or `carry` name other properties than the day carries",
    "properties from staged events": "funnels or `carry` name other properties, which the staged events have",
    "own hosts": "`own_hosts` names other hosts than when the day was staged",
    "profile": "the day has no profile of its parameters, or one by other rules",
    "time zone": "another `project.timezone` dates what did not happen",
    "time zone from staged events": "another `project.timezone` dates what did not happen; no shard is read",
    "full refresh": "--full-refresh asks for it",
}


_MOST_DAYS = 100
"""So many days at most are made again in one transaction."""
_WITHOUT_SHARD: Mapping[Reason, Reason] = {
    "taxonomy": "taxonomy from staged events",
    "properties": "properties from staged events",
    "time zone": "time zone from staged events",
}
"""The reasons for which no shard need be read: sessions and occurrences are made again from the staged events."""


class Scope(Period):
    """Which days a sync looks at, and how."""

    full_refresh: Switch = Field(default=False, description="Stage every day again, whether it changed or not.")
    newest_first: Switch = Field(default=False, description="Begin with the latest day: for long back-fills.")


@dataclass(frozen=True)
class PlannedDay:
    """A day that needs staging, and why. `is_emptied`: its file has no bytes, and had some when the day was staged.

    `events` is how many events of it are staged.
    """

    shard: Shard
    reason: Reason
    is_emptied: bool = False
    events: int = 0

    @property
    def is_from_events(self) -> bool:
        """Whether it is made again from its staged events, and its shard is not read."""
        return self.reason in _WITHOUT_SHARD.values()


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
    `external` is what it does with tables of other systems. `later_version` is the latest version of the taxonomy that
    days were staged by, where it is later than the version in use.
    """

    seen: int
    days: tuple[PlannedDay, ...]
    kept: tuple[KeptDay, ...] = ()
    external: ExternalPlan = NOTHING_EXTERNAL
    later_version: str | None = None

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
                    "reads": "staged events" if day.is_from_events else "shard",
                }
                for day in self.days
            ],
            "kept": [
                {"property": kept.property_id, "date": kept.day.isoformat(), "shard": kept.shard} for kept in self.kept
            ],
            "external": self.external.document(),
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
    later: set[str] = set()
    for shard in chosen:
        before = staged.pop((shard.property_id, shard.day), None)
        if before and not scope.full_refresh and rules.taxonomy.is_older_than(before.get("taxonomy")):
            later.add(before["taxonomy"].rpartition(" ")[2])
        if before and exports.PRECEDENCE[before["kind"]] < exports.PRECEDENCE[shard.kind]:
            kept.append(KeptDay(shard.property_id, shard.day, before["shard"]))
        elif reason := _reason(shard, before, scope, rules, today):
            is_emptied = before is not None and shard.table is None and before["bytes"] > 0 == shard.bytes
            days.append(PlannedDay(shard, reason, is_emptied, before["events"] if before else 0))
    properties = {shard.property_id for shard in chosen}
    kept += [
        KeptDay(property_id, day, row["shard"])
        for (property_id, day), row in staged.items()
        if property_id in properties and scope.holds(day)
    ]
    if scope.newest_first:
        days.sort(key=lambda day: day.shard.day, reverse=True)
    return SyncPlan(
        len(chosen),
        tuple(days),
        tuple(sorted(kept, key=lambda each: (each.property_id, each.day))),
        later_version=max(later, key=version_key, default=None),
    )


def refuse_going_back(planned: SyncPlan, config: Config, taxonomy: Taxonomy) -> None:
    """Refuse to stage by an older version of the taxonomy than days are staged by; --full-refresh may.

    Raises:
        TaxonomyError: the version of the file goes back.
    """
    file = config.taxonomy.file
    if planned.later_version and file:
        raise went_back(file, taxonomy, planned.later_version)


def _reason(
    shard: Shard, before: Mapping[str, Any] | None, scope: Scope, rules: Rules, today: date | None
) -> Reason | None:
    if before is None or before["shard"] != shard.name:
        return "new" if before is None else "replaced"
    if (before["modified_at"], before["bytes"]) != (shard.modified_at, shard.bytes):
        return "changed"
    # A schema is what the rules read of a shard, so other rules may be why it is another.
    is_read_alike = not (shard.table and before["schema_fingerprint"] != shard.table.schema.fingerprint)
    if reason := _reason_of_rules(before, rules, shard.property_id):
        is_enough = is_read_alike and not scope.full_refresh and _has_all(before, rules)
        return _WITHOUT_SHARD.get(reason, reason) if is_enough else reason
    if not _is_profiled(before, rules):
        return "profile"
    is_over = today is not None and shard.day < today
    if not is_read_alike or (is_over and shard.is_provisional and before.get("is_day_over") is False):
        return "over" if is_read_alike else "changed"
    return "full refresh" if scope.full_refresh else None


def _reason_of_rules(before: Mapping[str, Any], rules: Rules, property_id: str) -> Reason | None:
    if before["staging_fingerprint"] != rules.fingerprint:
        return "upgrade" if before["taxonomy_fingerprint"] == rules.taxonomy.fingerprint else "taxonomy"
    if (before["carried_columns"] or "") != rules.carried_columns:
        return "properties"
    if (before["own_hosts"] or "") != ",".join(rules.own_hosts.get(property_id, ())):
        return "own hosts"
    return "time zone" if (before.get("absence_zone") or "") != rules.absence_zone else None


def _has_all(before: Mapping[str, Any], rules: Rules) -> bool:
    """Whether the staged events of a day are what its shard would be read into, with all that the rules carry."""
    if before["events_fingerprint"] != rules.events_fingerprint:
        return False
    there = set((before["event_columns"] or "").split(","))
    return _is_profiled(before, rules) and all(each.column in there for each in rules.of_events)


def _is_profiled(before: Mapping[str, Any], rules: Rules) -> bool:
    return not rules.is_profiled or before.get("profile_fingerprint") == rules.profile_fingerprint


def restaged_batches(days: Iterable[PlannedDay], most_rows: int) -> Iterator[tuple[str, tuple[date, ...]]]:
    """Group the days that are made again from their staged events, by property, as many as one transaction takes."""
    from_events = sorted((day for day in days if day.is_from_events), key=lambda day: day.shard.property_id)
    for property_id, group in groupby(from_events, key=lambda day: day.shard.property_id):
        dates: list[date] = []
        events = 0
        for day in group:
            if dates and (events + day.events > most_rows or len(dates) == _MOST_DAYS):
                yield property_id, tuple(dates)
                dates, events = [], 0
            dates.append(day.shard.day)
            events += day.events
        yield property_id, tuple(dates)
