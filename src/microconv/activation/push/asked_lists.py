"""What platforms say of our lists when they are asked: members they count, how many they know, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from microconv.activation.destinations.base import Destination
from microconv.activation.push.ledger_views import AskedList, AskedStatusResult, ListStatus
from microconv.errors import MicroconvError
from microconv.wording import message


def asked_status(
    lists: Sequence[ListStatus], sentence: str, destination: Callable[[str], Destination]
) -> AskedStatusResult:
    """Ask the platform of each list; `destination` gives that of a name."""
    return AskedStatusResult(tuple(_asked(each, destination) for each in lists), sentence, _ASSUMPTIONS)


_ASSUMPTIONS = (
    "Times are UTC. Listed is what we sent, in identifiers.",
    "Members there and match rate are what platforms say, of people, hours later. A dash: one does not say.",
)


def _asked(status: ListStatus, destination: Callable[[str], Destination]) -> AskedList:
    known = asdict(status)
    notes = [status.note]
    try:
        facts = destination(status.destination).list_facts(status.segment)
    except MicroconvError as error:
        facts = None
        notes.append(f"could not be asked: {error.message}")
    if facts is None:
        return AskedList(**known | {"note": _joined(notes)})
    return AskedList(
        **known | {"note": _joined([*notes, *map(message, facts.notes)])},
        there="open" if facts.is_open else "closed",
        members=facts.members,
        match_rate=facts.match_rate,
    )


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(note.removesuffix(".") for note in notes if note)
