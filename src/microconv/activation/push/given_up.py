"""Lists that no segment goes to any more: whoever refuses is still taken off, and everybody when that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import AudienceList
from microconv.activation.push.identifiers import want
from microconv.activation.push.list_plan import ListAudience, ListPlan, listed, plan_list
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import PlannedCounts, PushLedger
from microconv.activation.push.push_result import PushedList
from microconv.activation.push.refusers import off_words, refusers_taken_off
from microconv.activation.push.sending import Sending
from microconv.activation.segment_audience import SegmentAudiences
from microconv.errors import DestinationError


@dataclass(frozen=True)
class GivenUpList:
    """A list that was pushed to, and that no segment of the configuration goes to any more.

    Attributes:
        audiences: Gives the engine, the clock, and who refused.
        segment: The name of the segment that it was the list of.
        destination: Where it is.
        push_id: The id of this push of the list.
        patience: Makes of a list one that is sent to with patience.
    """

    audiences: SegmentAudiences
    segment: str
    destination: Destination
    push_id: str
    patience: Callable[[AudienceList], Sending]

    @property
    def _at(self) -> str:
        return self.destination.settings.name

    def without_refusers(self, *, dry_run: bool) -> PushedList:
        """Take off whoever refused, and say that the list is still there."""
        on_it = wording.plural(listed(self.audiences.engine, self._at, self.segment), "identifier")
        warning = (
            f"{self.segment} at {self._at} is in no segment's `destinations`, and {on_it} are on it. Nobody is added, "
            f"and only who refuses is taken off. `microconv push retire {self.segment} --from {self._at}` takes "
            "everybody off."
        )
        found = PushedList(self.segment, self._at, None, {}, (), "not configured", (warning,))
        if dry_run:
            return found
        try:
            batches = refusers_taken_off(self.audiences, self.segment, self.destination, self.push_id, self.patience)
        except DestinationError as error:
            return replace(found, failure=error)
        sent = found.settled(batches)
        said = off_words(f"{self.segment} at {self._at}", batches)
        return replace(sent, outcome="not configured", warnings=(*sent.warnings, *said))

    def emptied(self, *, dry_run: bool) -> PushedList:
        """Take everybody off."""
        engine, clock = self.audiences.engine, self.audiences.clock
        nobody = ListAudience(self.segment, self._at, self.destination.accepts.normalisation.version, 0, 0, {}, ())
        plans: list[ListPlan] = []

        def plan(counts: PlannedCounts) -> None:
            plans.append(plan_list(engine, nobody, counts))

        sending = self.patience(self.destination.audience_list(self.segment, self.push_id))
        sending.explain("left")
        ledger = PushLedger(engine, self._at, self.segment)
        name = f"{self.segment} at {self._at}"
        push = ListPush(
            ledger,
            sending,
            clock,
            check=plan,
            before_send=lambda _: sending.await_turn(name),
            wait_for=sending.wait_for,
        )
        want(engine, [])
        if dry_run:
            plan(ledger.plan(push.now(), settles_after=sending.limits.settles_after, refresh_after=None))
            return PushedList(self.segment, self._at, plans[0], {}, (), "would be emptied", ())
        try:
            sent = push.push(self.push_id, normalisation=nobody.normalisation).batches
        except DestinationError as error:
            return PushedList(self.segment, self._at, plans[0], {}, (), "failed", (), failure=error)
        now = {each.batch_id: each for each in push.poll()}
        planned = PushedList(self.segment, self._at, plans[0], {}, (), "", ())
        return planned.settled(tuple(now.get(each.batch_id, each) for each in sent))
