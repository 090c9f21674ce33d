"""Why identifiers are on a list, or leave it: looked up for each request, for destinations that are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from microconv.activation.audience.packed_rows import AudienceRows
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import Identifier, Origin
from microconv.activation.push.identifiers import load_origins
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.removals import choose
from microconv.activation.push.sending import Sending
from microconv.activation.segment_audience import SegmentAudiences
from microconv.config.sections import Config
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy

_ROWS = "push_origins"
_ORIGINS = "identifier_origins"


@dataclass
class ListOrigins:
    """Why the identifiers of one push of a list are on it, or leave it.

    Attributes:
        audiences: Gives the engine, and who refused.
        segment: The name of the segment.
        destination: Where it goes.
    """

    audiences: SegmentAudiences
    segment: str
    destination: Destination
    _knows_refusers: bool = field(default=False, init=False)

    def load(self, rows: AudienceRows) -> None:
        """Take down where the people come from who are wanted on the list."""
        engine = self.audiences.engine
        load_origins(engine, rows, _ROWS)
        engine.materialise(origins_query(self.segment), _ORIGINS)

    def tell(self, sending: Sending, batch: LedgerBatch) -> None:
        """Say it to the list of the identifiers of its next request."""
        if batch.operation == "add":
            sending.explain("member", self._added(batch))
        else:
            sending.explain("left", self._refused(batch))

    def _added(self, batch: LedgerBatch) -> dict[Identifier, Origin]:
        rows = self.audiences.engine.query(batch_origins_query(batch.batch_id)).to_pylist()
        return {
            Identifier(row["kind"], row["identifier"]): Origin("member", row["since"], row["consented_at"])
            for row in rows
        }

    def _refused(self, batch: LedgerBatch) -> dict[Identifier, Origin]:
        audiences = self.audiences
        if not self._knows_refusers:
            choose(audiences.engine, audiences.refused(), audiences.people(), self.destination, audiences.clock())
            self._knows_refusers = True
        rows = audiences.engine.query(batch_chosen_query(batch.batch_id)).to_pylist()
        return {Identifier(row["kind"], row["identifier"]): Origin("refused") for row in rows}


def origins_query(segment: str) -> Query:
    """Return the query of why each identifier is wanted."""
    return templates.query("activation/identifier_origins", params={"segment": segment})


def batch_origins_query(batch_id: str) -> Query:
    """Return the query of why the identifiers of a batch are wanted."""
    return templates.query("activation/batch_origins", params={"batch_id": batch_id})


def batch_chosen_query(batch_id: str) -> Query:
    """Return the query of which identifiers of a batch are among those that were chosen."""
    return templates.query("activation/batch_chosen", params={"batch_id": batch_id})


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of origins."""
    yield None, origins_query("segment")
    yield None, batch_origins_query("batch")
    yield None, batch_chosen_query("batch")
