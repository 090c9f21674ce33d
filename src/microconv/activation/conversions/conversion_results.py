"""What sending conversions says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.audience_plan import reasons
from microconv.activation.conversions.conversion_destination import MICROS
from microconv.activation.conversions.conversion_plan import ConversionPlan
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.push_result import became_of
from microconv.errors import MicroconvError
from microconv.result import Result, column, sheet
from microconv.wording import Sheet

_SHOWN_DIGITS = 12
_EXPLAINED = {
    "changed": "their value changed, and the destination is not told of that",
    "consent_denied": "consent was withdrawn, and the destination takes nothing back without naming the person",
    "no_consent_record": "their consent row is gone, and the destination takes nothing back without naming the person",
    "consent_unreadable": "consent cannot be read, and the destination takes nothing back without naming the person",
    "withdrawn": "consent was withdrawn, and the destination cannot be told",
    "gone": "they are gone from the export, and the destination cannot be told",
    "refunded": "their money was given back, and the destination cannot be told",
    "refund_unclear": "money was given back in another currency, so that nobody can tell what is left",
    "not_final": "their day is not final again",
    "unknown": "their day is not staged any more, so that nobody can tell",
    "no_user_id": "nobody knows any more whose they are",
    "no_click_or_identifier": "nothing is known any more that they could be matched by",
}


@dataclass(frozen=True)
class ConversionRow:
    """A conversion: how many orders count, what was sent, and what became of that."""

    conversion: str = column("conversion")
    destination: str = column("destination")
    orders: int | None = column("orders", wording.count)
    standing: int | None = column("told before", wording.count)
    new: int | None = column("new", wording.count)
    restated: int | None = column("restated", wording.count)
    retracted: int | None = column("taken back", wording.count)
    repeated: int | None = column("repeated", wording.count)
    waiting: int | None = column("waiting", wording.count)
    outcome: str = column("outcome")


@dataclass(frozen=True)
class SentConversion:
    """What became of one conversion; `failure` is what stopped it, if anything did."""

    conversion: str
    destination: str
    plan: ConversionPlan | None
    batches: tuple[LedgerBatch, ...] = ()
    outcome: str = ""
    notes: tuple[str, ...] = ()
    failure: MicroconvError | None = None

    @property
    def row(self) -> ConversionRow:
        """The conversion as a row."""
        plan = self.plan
        counts: Mapping[str, int | None] = {
            name: getattr(plan, name, None) for name in ("orders", "standing", "new", "restated", "repeated", "waiting")
        }
        retracted = None if plan is None else sum(plan.retracted.values())
        return ConversionRow(self.conversion, self.destination, **counts, retracted=retracted, outcome=self.outcome)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should look at."""
        if self.plan is None:
            return self.notes
        found = [
            f"{self.conversion}: {wording.plural(number, 'order')} at {self.destination} left as told: "
            f"{_EXPLAINED.get(why, why)}."
            for why, number in sorted(self.plan.left.items())
        ]
        if self.plan.lost:
            found.append(
                f"{self.conversion}: of {wording.plural(self.plan.lost, 'order')} nobody knows whether "
                f"{self.destination} has them, and said again they might count twice: they are left."
            )
        return (*self.notes, *found)

    def noting(self, note: str) -> SentConversion:
        """Return the same with another note."""
        return replace(self, notes=(*self.notes, note))

    def settled(self, batches: tuple[LedgerBatch, ...]) -> SentConversion:
        """Return the same after its batches were sent, with what these have become."""
        became = became_of(
            batches,
            self.destination,
            self.conversion,
            "order",
            "Run `microconv conversions send` again: it says once more what was not confirmed, and an order "
            "id counts once.",
        )
        notes = (*self.notes, *became.warnings)
        return replace(self, batches=batches, outcome=became.outcome, notes=notes, failure=became.failure)

    def document(self) -> dict[str, Any]:
        """Return the conversion as JSON; values are in the currency."""
        plan = {} if self.plan is None else asdict(self.plan)
        if self.plan is not None:
            plan["value"] = {currency: micros / MICROS for currency, micros in self.plan.value.items()}
        return {
            "conversion": self.conversion,
            "destination": self.destination,
            "outcome": self.outcome,
            **plan,
            "batches": [
                {"conversion" if name == "segment" else name: value for name, value in row.items()}
                for row in (wording.iso_dates(asdict(each)) for each in self.batches)
            ],
            "warnings": list(self.warnings),
            "problem": None if self.failure is None else self.failure.message,
        }


@dataclass(frozen=True)
class SentConversions(Result):
    """What was sent, or would be."""

    row_type: ClassVar[type] = ConversionRow

    run_id: str
    dry_run: bool
    conversions: tuple[SentConversion, ...]

    @property
    def plan(self) -> str:
        """SHA-256 of what is planned: a dry run and the run after it have the same."""
        told = [f"{each.conversion} {each.plan.fingerprint if each.plan else ''}" for each in self.conversions]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @property
    def rows(self) -> tuple[ConversionRow, ...]:
        """The conversions."""
        return tuple(each.row for each in self.conversions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should look at."""
        return tuple(warning for each in self.conversions for warning in each.warnings)

    @property
    def failures(self) -> tuple[MicroconvError, ...]:
        """What stopped conversions, or failed; the one that decides on the exit code comes last."""
        found = [each.failure for each in self.conversions if each.failure is not None]
        return tuple(sorted(found, key=lambda failure: failure.exit_code))

    @property
    def sentence(self) -> str:  # type: ignore[override]  # made of the rest
        """Say what was sent, or would be."""
        plans = [each.plan for each in self.conversions if each.plan and (each.failure is None or each.batches)]
        worth: dict[str, int] = {}
        for plan in plans:
            for currency, micros in plan.value.items():
                worth[currency] = worth.get(currency, 0) + micros
        amounts = [f"{wording.money(micros / MICROS, currency)}" for currency, micros in sorted(worth.items())]
        would = "would be " if self.dry_run else ""
        return (
            f"{wording.plural(sum(each.new for each in plans), 'order')} {would}sent"
            f"{f' ({wording.listed(amounts)})' if amounts else ''}, "
            f"{wording.count(sum(each.restated for each in plans))} restated, "
            f"{wording.count(sum(sum(each.retracted.values()) for each in plans))} taken back, "
            f"{wording.count(sum(each.repeated for each in plans))} said again. Plan {self.plan[:_SHOWN_DIGITS]}."
        )

    @property
    def assumptions(self) -> tuple[str, ...]:  # type: ignore[override]  # made of the rest
        """Who is left out."""
        return tuple(
            f"{each.conversion} leaves out: {reasons(each.plan.left_out)}."
            for each in self.conversions
            if each.plan and each.plan.left_out
        )

    def sheets(self) -> tuple[Sheet, ...]:
        """One table of the conversions."""
        return (sheet("Dry run" if self.dry_run else "Conversions", self.rows, ConversionRow),)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "plan": self.plan,
            "conversions": [each.document() for each in self.conversions],
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class _Table(Result):
    """Rows of one class, under a title."""

    found: tuple[Any, ...]
    sentence: str
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows."""
        return self.found


@dataclass(frozen=True)
class ListedConversion:
    """A conversion of the configuration, and what would be told of it."""

    conversion: str = column("conversion")
    entry: str = column("entry")
    destination: str = column("destination")
    action: str = column("action")
    orders: int = column("orders", wording.count)
    may_be_sent: int = column("may be sent", wording.count)
    left_out: str = column("left out")


@dataclass(frozen=True)
class ListedConversions(_Table):
    """The conversions of the configuration."""

    row_type: ClassVar[type] = ListedConversion

    title = "Conversions"


@dataclass(frozen=True)
class ConversionStatus:
    """What is known of a conversion in one currency; all counts are of orders."""

    conversion: str = column("conversion")
    destination: str = column("destination")
    standing: int = column("told", wording.count)
    value: float | None = column("value", wording.cents)
    currency: str | None = column("currency")
    retracted: int = column("taken back", wording.count)
    waiting: int = column("waiting for an answer", wording.count)
    unsettled: int = column("to be said again", wording.count)
    refused: int = column("refused", wording.count)
    last_sent_at: datetime | None = column("last sent", wording.minute)
    note: str = column("note", default="")


@dataclass(frozen=True)
class ConversionStatuses(_Table):
    """What is known of each conversion."""

    row_type: ClassVar[type] = ConversionStatus

    assumptions: tuple[str, ...] = (
        "Times are UTC. What was told is what we sent: destinations do not say what they count.",
    )
    title = "Conversions"


@dataclass(frozen=True)
class ConversionRequest:
    """A request: what it asked, and what became of it."""

    conversion: str = column("conversion")
    destination: str = column("destination")
    operation: str = column("operation")
    state: str = column("state")
    orders: int = column("orders", wording.count)
    rejected: int | None = column("refused", wording.count)
    sent_at: datetime | None = column("sent", wording.minute)
    request_id: str | None = column("request")
    reason: str | None = column("reason")

    @classmethod
    def of(cls, batch: LedgerBatch) -> ConversionRequest:
        """Return a batch as a row."""
        return cls(
            batch.segment,
            batch.destination,
            batch.operation,
            batch.state,
            batch.identifiers,
            batch.rejected,
            batch.sent_at,
            batch.request_id,
            batch.reason,
        )


@dataclass(frozen=True)
class ConversionRequests(_Table):
    """Requests that were asked about."""

    row_type: ClassVar[type] = ConversionRequest

    assumptions: tuple[str, ...] = ("Times are UTC.",)
    title = "Requests"

    @property
    def undone(self) -> int:
        """How many failed, or nobody knows of any more."""
        return sum(each.state in ("failed", "unknown") for each in self.found)
