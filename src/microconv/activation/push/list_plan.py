"""The plan of a push of one list: what would be added, removed and said again. A dry run and a push make the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pyarrow.compute as pc

from microconv.activation.audience_plan import AudiencePlan
from microconv.activation.push.identifiers import DevicesOf, told_devices_query, wanted_query
from microconv.activation.push.push_ledger import PlannedCounts, PushLedger, open_batches_query
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True)
class ListAudience:
    """What is kept of the audience of a list once its identifiers are in the engine: no person, so that memory is free.

    Attributes:
        segment: The name of the segment.
        destination: The name of the destination.
        normalisation: The version of the rules by which identifiers are made.
        members: How many are in the segment.
        written: How many of them are to be on the list.
        excluded: How many are not, by reason.
        warnings: What people should look at.
    """

    segment: str
    destination: str
    normalisation: str
    members: int
    written: int
    excluded: Mapping[str, int]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, plan: AudiencePlan) -> ListAudience:
        """Return what is kept of a plan."""
        return cls(
            plan.segment,
            plan.destination,
            plan.normalisation,
            plan.members,
            plan.written,
            plan.excluded,
            plan.warnings,
        )


@dataclass(frozen=True)
class ListPlan:
    """What a push would do to a list; all counts but the first two are of identifiers.

    Attributes:
        members: How many are in the segment.
        written: How many of them are to be on the list, as people.
        listed: What the list holds, as far as we know.
        added: New on the list, or back on it.
        removed: Off the list: whoever has them left the segment, or may not be sent any more.
        refreshed: Said again since the list would else forget them.
        repeated: Said again since nobody knows whether it took effect, or it was refused.
        waiting: Not to be touched yet: the destination is still working on them.
        fingerprint: SHA-256 of all that would be sent, and where: equal plans send the same.
    """

    members: int
    written: int
    listed: int
    added: int
    removed: int
    refreshed: int
    repeated: int
    waiting: int
    fingerprint: str

    @property
    def to_send(self) -> int:
        """How many identifiers would be sent."""
        return self.added + self.removed + self.refreshed + self.repeated


def plan_list(engine: Engine, audience: ListAudience, counts: PlannedCounts) -> ListPlan:
    """Count what the scratch table `push_changes` holds, and take its fingerprint."""
    sent = [(operation, reason, count) for verdict, operation, reason, count in counts.rows if verdict == "send"]

    def total(operation: str | None, *reasons: str) -> int:
        return sum(count for doing, why, count in sent if operation in (None, doing) and why in reasons)

    return ListPlan(
        members=audience.members,
        written=audience.written,
        listed=listed(engine, audience.destination, audience.segment),
        added=total("add", "new", "changed"),
        removed=total("remove", "changed"),
        refreshed=total(None, "refresh", "full"),
        repeated=total(None, "again", "settled"),
        waiting=counts.of("hold"),
        fingerprint=_fingerprint(engine, audience),
    )


def listed(engine: Engine, destination: str, segment: str) -> int:
    """Return how many identifiers are on a list, as far as we know."""
    return sum(row["listed"] for row in lists(engine, destination, segment))


def lists(engine: Engine, destination: str | None = None, segment: str | None = None) -> list[Mapping[str, Any]]:
    """Return what is known of the lists that were pushed to (`sql/activation/lists.sql`)."""
    found: list[Mapping[str, Any]] = engine.query(lists_query(destination, segment)).to_pylist()
    return found


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a push of a list that has no name yet."""
    at: dict[str, Value] = {"destination": "destination", "segment": "segment"}
    ledger = PushLedger(cast("Engine", None), "destination", "segment")
    yield None, lists_query("destination", "segment")
    yield None, open_batches_query("destination", "segment")
    yield None, wanted_query()
    yield None, wanted_query(DevicesOf(is_app=False))
    yield None, told_devices_query("destination")
    yield None, templates.query("activation/people_with_devices")
    day = timedelta(days=1)
    yield None, ledger.changes_query(templates.EXAMPLE_MOMENT, settles_after=day, refresh_after=None)
    yield None, templates.query("activation/push_counts")
    yield None, templates.query("activation/planned_changes")
    first: dict[str, Value] = {"operation": "add", "most_identifiers": 10_000}
    yield None, templates.query("activation/planned_identifiers", params=first)
    planned: dict[str, Value] = {**at, "push_id": "push", "normalisation": "version", "most_identifiers": 10_000}
    yield None, templates.query("activation/push_planned", params=planned)
    batches: dict[str, Value] = {"push_id": "push", "now": templates.EXAMPLE_MOMENT}
    yield None, templates.query("activation/push_batches", params=batches)
    yield None, templates.query("activation/push_replaced", params=at)
    named: dict[str, Value] = {"batch_id": "batch", "refused_id": "batch-x1", "places": [0], "refusals": 6}
    yield None, templates.query("activation/push_named", params=named)
    yield None, templates.query("activation/batch_identifiers", params={"batch_id": "batch"})


def lists_query(destination: str | None, segment: str | None) -> Query:
    """Return the query of the lists that were pushed to."""
    return templates.query("activation/lists", params={"destination": destination, "segment": segment})


def _fingerprint(engine: Engine, audience: ListAudience) -> str:
    digest = hashlib.sha256()
    digest.update("\n".join((audience.segment, audience.destination, audience.normalisation, "")).encode())
    for batch in engine.stream(templates.query("activation/planned_changes")):
        lines = pc.binary_join_element_wise(*(batch.column(name).cast("string") for name in batch.schema.names), " ")
        digest.update("\n".join((*lines.to_pylist(), "")).encode())
    return digest.hexdigest()
