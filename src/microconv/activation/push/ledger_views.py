"""What the ledger says: the state of each list, its batches, and whether it is whole. No identifier is among it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.push.ledger_tables import LEDGER, SENT, TABLES
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True)
class ListStatus:
    """A list, as far as we know: all counts are of identifiers."""

    segment: str = column("segment")
    destination: str = column("destination")
    listed: int = column("listed", wording.count)
    waiting: int = column("waiting for an answer", wording.count)
    unsettled: int = column("to be said again", wording.count)
    refused: int = column("refused", wording.count)
    last_sent_at: datetime | None = column("last sent", wording.minute)
    next_refresh_at: datetime | None = column("next refresh", wording.minute)
    note: str = column("note", default="")


@dataclass(frozen=True)
class StatusResult(Result):
    """The lists of the configuration, and others that the ledger knows."""

    row_type: ClassVar[type] = ListStatus

    lists: tuple[ListStatus, ...]
    sentence: str
    assumptions: tuple[str, ...] = ("Times are UTC. What is listed is what we sent: destinations do not tell.",)

    @property
    def rows(self) -> tuple[ListStatus, ...]:
        """The lists."""
        return self.lists

    @property
    def title(self) -> str:
        """What the table is called."""
        return "Lists"


@dataclass(frozen=True)
class AskedList(ListStatus):
    """The same, with what its platform says of it now (`there`: open or closed); its members are people it counts."""

    there: str | None = column("there", default=None)
    members: int | None = column("members there", wording.count, default=None)
    match_rate: float | None = column("match rate", wording.share, default=None)


@dataclass(frozen=True)
class AskedStatusResult(StatusResult):
    """The lists, after their platforms were asked."""

    row_type: ClassVar[type] = AskedList


@dataclass(frozen=True)
class BatchRow:
    """A batch of the ledger; `held` are identifiers whose last operation it is."""

    batch_id: str = column("batch", is_whole=True)
    segment: str = column("segment")
    destination: str = column("destination")
    operation: str = column("operation")
    state: str = column("state")
    identifiers: int = column("identifiers", wording.count)
    held: int | None = column("still its own", wording.count)
    rejected: int | None = column("refused", wording.count)
    attempts: int = column("attempts", wording.count)
    planned_at: datetime = column("planned", wording.minute)
    sent_at: datetime | None = column("sent", wording.minute)
    settled_at: datetime | None = column("settled", wording.minute)
    request_id: str | None = column("request", default=None)
    reason: str | None = column("reason", default=None)

    @classmethod
    def of(cls, batch: LedgerBatch) -> BatchRow:
        """Return a batch as it was asked for."""
        known: dict[str, Any] = {name: getattr(batch, name, None) for name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True)
class BatchesResult(Result):
    """Batches of the ledger."""

    row_type: ClassVar[type] = BatchRow

    batches: tuple[BatchRow, ...]
    sentence: str
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[BatchRow, ...]:
        """The batches."""
        return self.batches

    @property
    def title(self) -> str:
        """What the table is called."""
        return "Batches"

    @property
    def undone(self) -> int:
        """How many batches did not take effect, or nobody knows."""
        return sum(each.state in ("failed", "unknown") for each in self.batches)


@dataclass(frozen=True)
class LedgerFault:
    """Something that cannot be in a ledger that is whole."""

    fault: str = column("fault")
    destination: str = column("destination")
    segment: str = column("segment")
    batch_id: str = column("batch", is_whole=True)
    count: int = column("count", wording.count)


@dataclass(frozen=True)
class VerifyResult(Result):
    """Whether the ledger is whole."""

    row_type: ClassVar[type] = LedgerFault

    faults: tuple[LedgerFault, ...]
    sentence: str
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[LedgerFault, ...]:
        """The faults."""
        return self.faults

    @property
    def title(self) -> str:
        """What the table is called."""
        return "Faults of the ledger"


def has_ledger(engine: Engine) -> bool:
    """Tell whether anything was pushed ever."""
    return all(engine.version(name) is not None for name in TABLES)


def list_batches(
    engine: Engine, destination: str | None, segment: str | None, *, is_open: bool, most: int
) -> BatchesResult:
    """List batches, the latest first."""
    found: Sequence[Mapping[str, Any]] = ()
    if has_ledger(engine):
        found = engine.query(batches_query(destination, segment, is_open=is_open, most=most)).to_pylist()
    rows = tuple(BatchRow(**{name: each[name] for name in BatchRow.__dataclass_fields__}) for each in found)
    what = "open batch" if is_open else "batch"
    number = wording.plural(len(rows), what) if len(rows) == 1 else f"{wording.count(len(rows))} {what}es"
    return BatchesResult(rows, f"{number}{' (the latest)' if len(rows) == most else ''}.")


def batches_query(destination: str | None, segment: str | None, *, is_open: bool, most: int) -> Query:
    """Return the query of batches of the ledger."""
    params = {"destination": destination, "segment": segment, "is_open": is_open, "most": most}
    return templates.query("activation/ledger_batches", params=params)


def verify(engine: Engine) -> VerifyResult:
    """Look for what cannot be in a ledger that is whole (`sql/activation/ledger_faults.sql`)."""
    if not has_ledger(engine):
        return VerifyResult((), "The ledger is empty: nothing was pushed yet.")
    found = tuple(LedgerFault(**row) for row in engine.query(templates.query("activation/ledger_faults")).to_pylist())
    if not found:
        return VerifyResult((), f"The ledger ({LEDGER.name}, {SENT.name}) is whole.")
    return VerifyResult(found, f"The ledger ({LEDGER.name}, {SENT.name}) has {wording.plural(len(found), 'fault')}.")


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of what the ledger says."""
    yield None, batches_query(None, None, is_open=False, most=100)
    yield None, templates.query("activation/ledger_faults")
