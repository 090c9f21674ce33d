"""Take off a list whoever it holds that the ledger does not know of, without ever emptying it.

Platforms keep when each member was added last. All that the ledger knows to be on a list was said at or after some
moment; whoever was added before that moment, and not since, was put there by somebody else, or before the ledger was
lost. These are the ones who are taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import (
    Answer,
    AudienceList,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.ledger_tables import LEDGER
from microconv.activation.push.ledger_views import BatchesResult, BatchRow, has_ledger
from microconv.activation.push.list_places import check_places
from microconv.activation.push.list_plan import lists
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import LedgerBatch, PushLedger
from microconv.activation.push.pushes import Pushes
from microconv.activation.sending_run import sending_run
from microconv.config.load import find_named
from microconv.engines.base import PutRow
from microconv.errors import DestinationError, FindingsError, UsageError

CLOCKS_APART = timedelta(minutes=10)
"""So far the platform's clock may be behind ours."""


@dataclass
class _OlderMembers:
    """A list of which one operation is wanted: that older members leave it."""

    audience: AudienceList
    destination: Destination
    segment: str
    added_before: datetime

    @property
    def limits(self) -> ListLimits:
        return self.audience.limits

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        del operation, identifiers
        return self.destination.take_off_older(self.segment, self.added_before)

    def finish(self) -> None:
        self.audience.finish()

    def ask(self, request_id: str) -> Answer:
        return self.audience.ask(request_id)

    def now(self) -> datetime | None:
        return self.audience.now()


@dataclass(frozen=True)
class Sweeping:
    """Sweeps of one project."""

    pushes: Pushes

    def sweep(self, segment: str, destination: str, *, dry_run: bool = False) -> BatchesResult:
        """Take off a list whoever was added before all that the ledger knows of.

        Args:
            segment: The name of the segment.
            destination: The name of the destination.
            dry_run: Let the platform check the request, without any effect.

        Raises:
            UsageError: There is no such list, or its platform cannot do that.
            FindingsError: Not all of what was said has been confirmed.
            DestinationError: The platform cannot be reached.
            LockedError: Another run holds the lock.
        """
        pushes = self.pushes
        find_named(pushes.config.destinations, destination, "destination")
        at = pushes.destination(destination)
        check_places([(segment, destination)], pushes.config, pushes.destination)
        with sending_run(pushes.engine, "sweep", pushes.clock()) as push_id:
            at.check_ready()
            audience = at.audience_list(segment, push_id)
            before = self._since(segment, at, audience) - CLOCKS_APART
            older = _OlderMembers(audience, at, segment, before)
            push = ListPush(PushLedger(pushes.engine, destination, segment), older, pushes.clock)
            said = f"Whoever was last added to {segment} at {destination} before {before:%Y-%m-%d %H:%M} UTC"
            if dry_run:
                _checked(at, segment, before)
                return BatchesResult((), f"{said} would be taken off.")
            batch = LedgerBatch(
                batch_id=f"{push_id}.sweep",
                push_id=push_id,
                destination=destination,
                segment=segment,
                operation="remove",
                state="planned",
                identifiers=0,
                rejected=None,
                request_id=None,
                attempts=0,
                planned_at=push.now(),
                sent_at=None,
                settled_at=None,
                reason=None,
            )
            pushes.engine.apply([PutRow(LEDGER, asdict(batch))])
            sent = push.send(batch)
            after = {each.batch_id: each for each in push.poll()}.get(sent.batch_id, sent)
        return BatchesResult((BatchRow.of(after),), f"{said} {_done(after)}.")

    def _since(self, segment: str, at: Destination, audience: AudienceList) -> datetime:
        """Return when the oldest member that the ledger knows of was said last."""
        pushes, name = self.pushes, f"{segment} at {at.settings.name}"
        known = []
        if has_ledger(pushes.engine):
            ListPush(PushLedger(pushes.engine, at.settings.name, segment), audience, pushes.clock).poll()
            known = lists(pushes.engine, at.settings.name, segment)
        waiting = sum(row["waiting"] + row["unsettled"] for row in known)
        if waiting:
            raise FindingsError(
                f"{name}: {wording.plural(waiting, 'identifier')} are still being worked on, or nobody knows whether "
                "they are on the list.",
                hint="Run `microconv push poll --wait`, then `microconv push`, until all is confirmed.",
            )
        if not known or known[0]["oldest_added_at"] is None:
            raise UsageError(
                f"The ledger knows nobody on the list of {name}, so that all of it would be taken off.",
                hint=f"Run `microconv push {segment} --to {at.settings.name}` first.",
            )
        (row,) = known
        since: datetime = row["oldest_added_at"]
        return since if since.tzinfo else since.replace(tzinfo=UTC)


def _checked(at: Destination, segment: str, before: datetime) -> None:
    try:
        at.take_off_older(segment, before, validate_only=True)
    except (RefusedError, TryLaterError, UnsureError) as error:
        raise DestinationError(
            f"{segment} at {at.settings.name}: a sweep would not be taken ({error}).",
            hint="`microconv doctor` tells more about the destination.",
        ) from None


def _done(batch: LedgerBatch) -> str:
    return {
        "success": "was taken off",
        "accepted": "is being taken off: `microconv push poll` says when that is done",
        "failed": f"was not taken off ({batch.reason})",
    }.get(batch.state, "may have been taken off: nobody knows; run it again")
