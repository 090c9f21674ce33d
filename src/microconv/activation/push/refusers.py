"""Whoever refused is taken off a list, also where a guard stops the rest, or the configuration has the list no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import AudienceList
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.removals import RemovalsLedger, choose, take_off
from microconv.activation.push.sending import Sending
from microconv.activation.segment_audience import SegmentAudiences


def refusers_taken_off(
    audiences: SegmentAudiences,
    segment: str,
    destination: Destination,
    push_id: str,
    patience: Callable[[AudienceList], Sending],
) -> tuple[LedgerBatch, ...]:
    """Take the identifiers of users who refused, or were erased, off a list; return what was sent.

    Raises:
        DestinationError: The destination is down, or time is up.
        ConfigError: There is no identity or consent table, or it cannot be read.
    """
    name = destination.settings.name
    ledger = RemovalsLedger(audiences.engine, name, segment)
    ledger.prepare()
    choose(audiences.engine, audiences.refused(), audiences.people(), destination, audiences.clock())
    return take_off(
        ledger,
        patience(destination.audience_list(segment, push_id)),
        push_id,
        normalisation=destination.accepts.normalisation.version,
        clock=audiences.clock,
    )


def off_words(name: str, batches: Sequence[LedgerBatch]) -> tuple[str, ...]:
    """Say how much was taken off the list called `name`; nothing where nothing was."""
    number = sum(each.identifiers for each in batches)
    if not number:
        return ()
    return (f"{name}: {wording.plural(number, 'identifier')} of people who refused were taken off all the same.",)
