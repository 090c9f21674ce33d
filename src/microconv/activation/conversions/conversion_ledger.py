"""What a destination was told of each order: the ledger of a push, with tables and a plan of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from microconv.activation.conversions.conversion_destination import (
    Conversion,
    ConversionDestination,
    ConversionOperation,
    ConversionRules,
)
from microconv.activation.conversions.conversion_tables import BATCHES, CONVERSIONS
from microconv.activation.conversions.converters import Who
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, Operation
from microconv.activation.push.push_ledger import LedgerBatch, PlannedCounts, PushLedger
from microconv.engines.tables import Table
from microconv.queries import templates
from microconv.queries.templates import Query, Value

CHANGES = "conversion_changes"
_ORDER = "order"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ConversionLedger(PushLedger):
    """The ledger of one conversion at a destination; `segment` is the name of the conversion.

    Attributes:
        rules: What the destination takes.
        margin: So long after it is planned a request may leave.
    """

    kind: ClassVar[str] = "conversion"
    list_column: ClassVar[str] = "conversion"
    batches: ClassVar[Table] = BATCHES
    told: ClassVar[Table] = CONVERSIONS

    rules: ConversionRules
    margin: timedelta

    def open_batches(self) -> list[LedgerBatch]:
        """Return the batches that are not final, the oldest first."""
        rows = self.engine.query(open_batches_query(self.destination, self.segment)).to_pylist()
        return [LedgerBatch(**row) for row in rows]

    def plan(
        self,
        now: datetime,
        *,
        settles_after: timedelta,
        refresh_after: timedelta | None,
        is_full: bool = False,
    ) -> PlannedCounts:
        """Compare the orders (the scratch tables `conversion_orders` and `conversion_people`) with what was said."""
        query = self.changes_query(now, settles_after=settles_after, refresh_after=refresh_after, is_full=is_full)
        self.engine.materialise(query, CHANGES)
        return self.counted()

    def counted(self) -> PlannedCounts:
        """Count what is planned."""
        rows = self.engine.query(templates.query("activation/conversion_counts")).to_pylist()
        return PlannedCounts(tuple((row["verdict"], row["operation"], row["why"], row["orders"]) for row in rows))

    def changes_query(
        self, now: datetime, *, settles_after: timedelta, refresh_after: timedelta | None, is_full: bool = False
    ) -> Query:
        """Return the query of what the destination must be told; a conversion is never refreshed."""
        del refresh_after, is_full
        adjustments, recognises = self.rules.adjustments, self.rules.recognises_for
        return templates.query(
            "activation/conversion_changes",
            params={
                "destination": self.destination,
                "conversion": self.segment,
                "now": now,
                "settle_us": _micros(settles_after),
                "restates": adjustments.restates,
                "retracts": adjustments.retracts,
                "by_order_id": adjustments.by_order_id,
                "adjust_us": _micros(adjustments.for_ - self.margin),
                # A repeated request must be there, however slow it is, while the destination still knows the order.
                "recognises_us": None if recognises is None else _micros(recognises - self.margin - settles_after),
            },
        )

    def planned_query(self, push_id: str, now: datetime, normalisation: str, most_identifiers: int) -> Query:
        """Return the query of the orders that are sent, each with the batch that it is in."""
        params: dict[str, Value] = {"push_id": push_id, "now": now, "normalisation": normalisation}
        return templates.query(
            "activation/conversion_planned", params={**self._at, **params, "most_orders": most_identifiers}
        )

    def identifiers(self, batch: LedgerBatch) -> list[Identifier]:
        """Return the orders of a batch, in their order, packed as `ConversionList` reads them."""
        rows = self.engine.query(templates.query("activation/batch_conversions", params={"batch_id": batch.batch_id}))
        return [Identifier(_ORDER, json.dumps(row)) for row in rows.to_pylist()]

    def first_planned(self, most: int, now: datetime) -> list[Conversion]:
        """Return the first of the orders that would be sent for the first time, as they would be sent now."""
        rows = self.engine.query(templates.query("activation/planned_conversions")).to_pylist()
        said_us = (now - _EPOCH) // timedelta(microseconds=1)
        new = [row | {"said_us": said_us} for row in rows if row["operation"] == "send"][:most]
        return [unpacked(Identifier(_ORDER, json.dumps(row))) for row in new]


@dataclass(frozen=True)
class TakenBackLedger(ConversionLedger):
    """The ledger of a conversion, of which only what no guardrail stops is planned: orders that are taken back."""

    def plan(self, now: datetime, **limits: Any) -> PlannedCounts:  # noqa: ANN401 - those of the ledger
        """Plan all, and keep of it what is taken back since consent was denied or money was given back."""
        super().plan(now, **limits)
        self.engine.materialise(taken_back_query(), CHANGES)
        return self.counted()


def taken_back_query() -> Query:
    """Return the query of orders that are taken back, whatever guardrails say."""
    return templates.query("activation/taken_back_conversions")


@dataclass(frozen=True)
class ConversionList:
    """A destination of conversions as a push sees it: a list of orders."""

    destination: ConversionDestination

    @property
    def limits(self) -> ListLimits:
        """The limits of the destination."""
        return self.destination.limits

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send orders; the operations of the ledger of conversions are those of a conversion."""
        return self.destination.send(cast("ConversionOperation", operation), [unpacked(each) for each in identifiers])

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request."""
        return self.destination.ask(request_id)

    def now(self) -> datetime | None:
        """Return the destination's own clock."""
        return self.destination.now()


def unpacked(order: Identifier) -> Conversion:
    """Return an order of a batch as it is sent."""
    row = json.loads(order.value)
    who = Who.of(row["who"])
    return Conversion(
        order_id=row["order_id"],
        occurred_at=_moment(row["occurred_us"]),
        said_at=_moment(row["said_us"]),
        value_micros=row["value_micros"],
        currency=row["currency"],
        clicks=who.clicks,
        clicked_at=None if who.clicked_us is None else _moment(who.clicked_us),
        identifiers=who.identifiers,
    )


def open_batches_query(destination: str, conversion: str) -> Query:
    """Return the query of the batches of a conversion that are not final."""
    params: dict[str, Value] = {"destination": destination, "conversion": conversion}
    return templates.query("activation/open_conversion_batches", params=params)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
