"""What was asked of a destination and what came of it, in the engine: written ahead, one transaction for each step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from microconv.activation.push.audience_list import BatchState, Identifier, Operation
from microconv.activation.push.ledger_tables import LEDGER, SENT
from microconv.engines.base import DeleteKeys, Engine, InsertScratch, PutRow
from microconv.engines.tables import Table
from microconv.queries import templates
from microconv.queries.templates import Query, Value

CHANGES = "push_changes"
WANTED = "wanted_identifiers"
_SET_APART = re.compile(r"-x[0-9]+$")
_SCRATCHES = ("changes", "planned", "batches", "replaced")
_ALONE, _TOGETHER = 6, -1
"""What `refusals` is of identifiers that wait a day: then each is tried alone, or together with others."""


@dataclass(frozen=True)
class LedgerBatch:
    """A row of `mc_ledger`; see `ledger_tables`."""

    batch_id: str
    push_id: str
    destination: str
    segment: str
    operation: Operation
    state: BatchState
    identifiers: int
    rejected: int | None
    request_id: str | None
    attempts: int
    planned_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    reason: str | None

    @property
    def is_set_apart(self) -> bool:
        """Whether it holds what was refused by name, out of another batch."""
        return _SET_APART.search(self.batch_id) is not None

    def split(self, places: Sequence[int], *, reason: str, now: datetime) -> tuple[LedgerBatch, LedgerBatch]:
        """Return a failed batch of what was refused by name at these places, and what is left of this one."""
        failed: dict[str, Any] = {"state": "failed", "settled_at": now, "reason": reason}
        batch_id, refused, left = f"{self.batch_id}-x{self.attempts}", len(places), self.identifiers - len(places)
        apart = replace(self, batch_id=batch_id, identifiers=refused, rejected=refused, **failed)
        return apart, replace(self, identifiers=left, **({} if left else failed))


@dataclass(frozen=True)
class PlannedCounts:
    """Identifiers by what a push does with them (send, hold, forget, wait, refused), by operation and reason."""

    rows: tuple[tuple[str, str, str, int], ...]

    @property
    def is_settled(self) -> bool:
        """Whether the list is what is wanted, and nothing is left to be done or to be waited for."""
        return not any(verdict in ("send", "hold", "wait") for verdict, *_ in self.rows)

    def of(self, verdict: str, operation: str | None = None) -> int:
        """Return how many there are."""
        return sum(count for said, doing, _, count in self.rows if said == verdict and operation in (None, doing))


@dataclass(frozen=True)
class PushLedger:
    """The ledger of one list: a segment at a destination.

    Attributes:
        kind: What the names of its templates and scratch tables begin with.
        list_column: The column that names the list.
        batches: The table of batches.
        told: The table of what the destination was told.
    """

    kind: ClassVar[str] = "push"
    list_column: ClassVar[str] = "segment"
    batches: ClassVar[Table] = LEDGER
    told: ClassVar[Table] = SENT

    engine: Engine
    destination: str
    segment: str

    def prepare(self) -> None:
        """Make the tables where they are missing."""
        self.engine.ensure(self.told)
        self.engine.ensure(self.batches)

    def open_batches(self) -> list[LedgerBatch]:
        """Return the batches that are not final, the oldest first."""
        rows = self.engine.query(open_batches_query(self.destination, self.segment)).to_pylist()
        return [LedgerBatch(**row) for row in rows]

    def plan(
        self, now: datetime, *, settles_after: timedelta, refresh_after: timedelta | None, is_full: bool = False
    ) -> PlannedCounts:
        """Compare what is wanted (the scratch table `wanted_identifiers`) with what was sent; nothing is written.

        With `is_full` each wanted identifier is said again, whatever is known of it.
        """
        query = self.changes_query(now, settles_after=settles_after, refresh_after=refresh_after, is_full=is_full)
        self.engine.materialise(query, CHANGES)
        return self.counted()

    def counted(self) -> PlannedCounts:
        """Count what is planned (the scratch table `push_changes`)."""
        rows = self.engine.query(templates.query("activation/push_counts")).to_pylist()
        return PlannedCounts(tuple((r["verdict"], r["operation"], r["reason"], r["identifiers"]) for r in rows))

    def changes_query(
        self, now: datetime, *, settles_after: timedelta, refresh_after: timedelta | None, is_full: bool = False
    ) -> Query:
        """Return the query of what the destination must be told."""
        return templates.query(
            "activation/push_changes",
            params={
                "destination": self.destination,
                "segment": self.segment,
                "now": now,
                "settle_us": _micros(settles_after),
                "refresh_us": None if refresh_after is None else _micros(refresh_after),
                "is_full": is_full,
            },
        )

    def write_ahead(
        self, push_id: str, now: datetime, *, normalisation: str, most_identifiers: int
    ) -> list[LedgerBatch]:
        """Write down all that is planned, before any of it is sent; return its batches in their order.

        Batches that were planned before and never sent have failed: their identifiers are in the new ones.
        """
        replaced = [each for each in self.open_batches() if each.state == "planned"]
        changes, planned, batches, left = (f"{self.kind}_{name}" for name in _SCRATCHES)
        about_batches: dict[str, Value] = {"push_id": push_id, "now": now}
        self.engine.materialise(self.planned_query(push_id, now, normalisation, most_identifiers), planned)
        self.engine.materialise(templates.query(f"activation/{batches}", params=about_batches), batches)
        self.engine.materialise(templates.query(f"activation/{left}", params=self._at), left)
        self.engine.apply(
            [
                DeleteKeys(self.told, self.told.grain[0], left),
                InsertScratch(self.told, planned),
                InsertScratch(self.batches, batches),
                *(self._put(replace(each, state="failed", settled_at=now, reason="planned anew")) for each in replaced),
            ]
        )
        self.engine.discard(changes, planned, batches, left)
        return [each for each in self.open_batches() if each.push_id == push_id and each.state == "planned"]

    def planned_query(self, push_id: str, now: datetime, normalisation: str, most_identifiers: int) -> Query:
        """Return the query of the identifiers that are sent, each with the batch that it is in."""
        del now
        params: dict[str, Value] = {"push_id": push_id, "normalisation": normalisation}
        return templates.query(
            "activation/push_planned", params={**self._at, **params, "most_identifiers": most_identifiers}
        )

    @property
    def _at(self) -> dict[str, Value]:
        return {"destination": self.destination, self.list_column: self.segment}

    def _put(self, batch: LedgerBatch) -> PutRow:
        row = asdict(batch)
        row[self.list_column] = row.pop("segment")
        return PutRow(self.batches, row)

    def identifiers(self, batch: LedgerBatch) -> list[Identifier]:
        """Return the identifiers of a batch, in their order."""
        return self._identifiers(templates.query("activation/batch_identifiers", params={"batch_id": batch.batch_id}))

    def planned(self, operation: Operation, most_identifiers: int) -> list[Identifier]:
        """Return the identifiers that would be sent first with an operation, after `plan`."""
        params: dict[str, Value] = {"operation": operation, "most_identifiers": most_identifiers}
        return self._identifiers(templates.query("activation/planned_identifiers", params=params))

    def _identifiers(self, query: Query) -> list[Identifier]:
        table = self.engine.query(query)
        return list(map(Identifier, table.column("kind").to_pylist(), table.column("identifier").to_pylist()))

    def put(self, batch: LedgerBatch, **changes: Any) -> LedgerBatch:  # noqa: ANN401 - fields of the batch
        """Write the state of a batch."""
        changed = replace(batch, **changes)
        self.engine.apply([self._put(changed)])
        return changed

    def set_apart(
        self, batch: LedgerBatch, places: Sequence[int], *, reason: str, now: datetime, alone: bool = True
    ) -> tuple[LedgerBatch, LedgerBatch]:
        """Move identifiers that were refused by name into a batch of their own, which failed; return it and the rest.

        Those that keep others from being taken are tried `alone` when a day is over.
        """
        refused, rest = batch.split(places, reason=reason, now=now)
        params: dict[str, Value] = {
            "batch_id": batch.batch_id,
            "refused_id": refused.batch_id,
            "places": list(places),
            "refusals": _ALONE if alone else _TOGETHER,
        }
        named = f"{self.kind}_named"
        self.engine.materialise(templates.query(f"activation/{named}", params=params), named)
        self.engine.apply(
            [
                DeleteKeys(self.told, self.told.grain[0], named),
                InsertScratch(self.told, named),
                self._put(refused),
                self._put(rest),
            ]
        )
        return refused, rest


def open_batches_query(destination: str, segment: str | None) -> Query:
    """Return the query of the batches of a destination that are not final."""
    return templates.query("activation/open_batches", params={"destination": destination, "segment": segment})


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
