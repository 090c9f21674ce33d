"""Take chosen identifiers off a list, whatever holds for the rest of it: of who is erased, or of those who refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.packed_rows import AudienceRows
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.audience_plan import plan_audience
from microconv.activation.destinations.base import Destination
from microconv.activation.push.identifiers import load_identifiers, load_told_devices, want
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import CHANGES, LedgerBatch, PlannedCounts, PushLedger
from microconv.activation.push.sending import Sending
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.segments.members import Member

CHOSEN = "chosen_identifiers"
_GRANTED = "2000-01-01"


@dataclass(frozen=True)
class RemovalsLedger(PushLedger):
    """The ledger of a list, of which only removals of the identifiers in the scratch table `CHOSEN` are planned."""

    def plan(self, now: datetime, **limits: Any) -> PlannedCounts:  # noqa: ANN401 - those of the ledger
        """Plan that nobody is wanted, and keep of it what concerns the chosen."""
        want(self.engine, [])
        super().plan(now, **limits)
        self.engine.materialise(chosen_removals_query(), CHANGES)
        return self.counted()


def take_off(
    ledger: RemovalsLedger, sending: Sending, push_id: str, *, normalisation: str, clock: Callable[[], datetime]
) -> tuple[LedgerBatch, ...]:
    """Send the removals of the chosen, who refused, and ask once what became of them; return the batches as they are.

    Raises:
        DestinationError: The destination is down, or time is up; what was not sent stays planned.
    """
    name = f"{ledger.segment} at {ledger.destination}"
    sending.explain("refused")
    push = ListPush(ledger, sending, clock, before_send=lambda _: sending.await_turn(name), wait_for=sending.wait_for)
    sent = push.push(push_id, normalisation=normalisation).batches
    now = {each.batch_id: each for each in push.poll()}
    return tuple(now.get(each.batch_id, each) for each in sent)


def chosen_removals_query() -> Query:
    """Return the query of planned removals of chosen identifiers."""
    return templates.query("activation/chosen_removals")


def choose(
    engine: Engine, names: Collection[str], people: Iterable[Person], destination: Destination, now: datetime
) -> None:
    """Write into `CHOSEN` whatever a destination may have been sent of users; see `rows_of`."""
    if destination.accepts.devices is None:
        load_identifiers(engine, rows_of(names, people, destination, now), CHOSEN)
    else:
        load_told_devices(engine, destination.settings.name, names, CHOSEN)


def rows_of(
    names: Collection[str], people: Iterable[Person], destination: Destination, now: datetime
) -> Iterator[AudienceRows]:
    """Yield whatever a destination may have been sent of users, as if they agreed; some of it several times.

    Args:
        names: Their user ids.
        people: The identity table; only the rows of these users are looked at.
        destination: The destination: it has its own rules for how identifiers are written.
        now: The current time.
    """
    members = [Member(number, name) for number, name in enumerate(sorted(names))]
    consents = [ConsentRecord(name, "granted", "granted", _GRANTED) for name in names]
    accepts = destination.accepts
    every: tuple[IdentityKind, ...] = get_args(IdentityKind)
    known: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        if person.user_id in names:
            known[person.user_id].append(person)
    most = max(map(len, known.values()), default=0)
    # An audience takes one row of a user, and what two users share but once: each row and each kind is looked at alone.
    for kind in every:
        if kind not in accepts.identity:
            continue
        for some in ([], *([rows[place] for rows in known.values() if place < len(rows)] for place in range(most))):
            yield plan_audience(
                members,
                some,
                consents,
                segment="removals",
                identity=[kind],
                destination=destination.settings.name,
                accepts=accepts,
                lineage={},
                now=now,
            ).audience.rows
