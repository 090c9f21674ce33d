"""One list of a push: who should be on it is planned, held against what was sent, looked at by guards, and sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from microconv import wording
from microconv.activation.audience.first_party import consent_signature
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import AudienceList
from microconv.activation.push.checked_ahead import checked, with_checks
from microconv.activation.push.identifiers import people_with_devices, want
from microconv.activation.push.list_plan import ListAudience, ListPlan, plan_list
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.origins import ListOrigins
from microconv.activation.push.push_guards import OF_A_PUSH, Allowed, check_audience, check_changes
from microconv.activation.push.push_ledger import LedgerBatch, PlannedCounts, PushLedger
from microconv.activation.push.push_result import PushedList
from microconv.activation.push.refusers import off_words, refusers_taken_off
from microconv.activation.push.sending import Sending
from microconv.activation.segment_audience import SegmentAudiences
from microconv.activation.sending_gate import SendingGate
from microconv.config.push_limits import PushGuards
from microconv.config.segment_settings import SegmentConfig
from microconv.errors import DestinationError, FindingsError

_CONSENT_TRIES = 3

OnProgress = Callable[[int, int, str], None]
"""Is told how many identifiers of a list were sent, of how many, and which list it is."""


class ConsentChangedError(Exception):
    """The consent table is not the one that the plan was made from."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a push.

    Attributes:
        full: Whether whatever is on a list is said again.
        allowed: Guards that let it through.
        on_progress: Is told how far a list is.
    """

    full: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    on_progress: OnProgress = lambda _done, _all, _list: None


@dataclass
class OneList:
    """One list of a push.

    Attributes:
        audiences: Plans the audience.
        segment: The segment.
        destination: Where it goes.
        push_id: The id that the push of this list gets.
        patience: Makes of a list one that is sent to with patience.
        wishes: What is asked of the push.
        gate: What must hold before it is sent, measured already.
        plan: What is planned, once it is.
        audience: Who should be on the list, once that is known.
    """

    audiences: SegmentAudiences
    segment: SegmentConfig
    destination: Destination
    push_id: str
    patience: Callable[[AudienceList], Sending]
    wishes: Wishes
    gate: SendingGate
    plan: ListPlan | None = field(default=None, init=False)
    audience: ListAudience | None = field(default=None, init=False)
    _starts_anew: bool = field(default=False, init=False)
    _origins: ListOrigins | None = field(default=None, init=False)
    _warnings: tuple[str, ...] = field(default=(), init=False)

    def result(self, *, dry_run: bool) -> PushedList:
        """Plan, check and send."""
        try:
            return self._planned() if dry_run else self._pushed()
        except FindingsError as error:
            stopped = self._so_far("stopped", error)
            return stopped if dry_run else self._without_refusers(stopped, error)
        except DestinationError as error:
            return self._so_far("failed", error)

    @property
    def _name(self) -> str:
        return f"{self.segment.name} at {self.destination.settings.name}"

    @property
    def _limits(self) -> PushGuards:
        return self.segment.push.over(self.destination.settings.push.over(self.audiences.config.push))

    @property
    def _is_full(self) -> bool:
        """Whether all is said again: since that was asked for, or the platform's list is not there."""
        return self.wishes.full or self._starts_anew

    def _so_far(self, outcome: str, failure: FindingsError | DestinationError | None = None) -> PushedList:
        audience = self.audience
        return PushedList(
            segment=self.segment.name,
            destination=self.destination.settings.name,
            plan=self.plan,
            excluded=audience.excluded if audience else {},
            batches=(),
            outcome=outcome,
            warnings=(*self._warnings, *(audience.warnings if audience else ())),
            failure=failure,
        )

    def _list_push(self, push_id: str) -> tuple[ListPush, Sending]:
        """Put what is wanted into the engine; return what makes the list that, and how requests leave."""
        audiences = self.audiences
        self._warnings = self.gate.pass_segment(self.segment, self.destination.settings.name, OF_A_PUSH)
        planned = audiences.plan(self.segment, self.destination)
        self.audience = audience = ListAudience.of(planned)
        check_audience(
            planned,
            limits=self._limits,
            max_age=self.destination.settings.max_age,
            allowed=self.wishes.allowed,
            now=audiences.clock(),
            has_user_ids=audiences.has_user_ids,
        )
        ledger = PushLedger(audiences.engine, self.destination.settings.name, self.segment.name)
        ledger.prepare()
        devices = self.destination.accepts.devices
        want(audiences.engine, [planned.audience.rows], devices)
        if devices is not None:
            self.audience = audience = _without_device(audience, people_with_devices(audiences.engine))
        self._starts_anew = self.destination.starts_anew(self.segment.name)
        if self.destination.accepts.with_origins:
            self._origins = ListOrigins(audiences, self.segment.name, self.destination)
            self._origins.load(planned.audience.rows)
        facts = planned.facts(push_id, audiences.clock())
        sending = self.patience(self.destination.audience_list(self.segment.name, push_id, facts))
        return ListPush(ledger, sending, audiences.clock, check=lambda counts: self._check(audience, counts)), sending

    def _check(self, audience: ListAudience, counts: PlannedCounts) -> None:
        self.plan = plan_list(self.audiences.engine, audience, counts)
        if self._starts_anew and self.plan.waiting:
            raise DestinationError(
                f"{self._name}: its list is gone there, while "
                f"{wording.plural(self.plan.waiting, 'identifier')} are still being worked on.",
                hint="Run `microconv push poll`; once these have an answer, push again: all is then said again.",
            )
        check_changes(audience, self.plan, limits=self._limits, allowed=self.wishes.allowed)

    def _planned(self) -> PushedList:
        push, sending = self._list_push(self.push_id)
        limits = sending.limits
        counts = push.ledger.plan(
            push.now(), settles_after=limits.settles_after, refresh_after=limits.refresh_after, is_full=self._is_full
        )
        push.check(counts)
        planned = self._so_far("would be sent" if self.plan and self.plan.to_send else "nothing to send")
        planned = replace(planned, notes=(*planned.notes, *self.gate.said(self.segment)))
        return with_checks(planned, tuple(checked(self.destination, push.ledger, limits.most_identifiers)))

    def _pushed(self) -> PushedList:
        for number in range(1, _CONSENT_TRIES + 1):
            push_id = self.push_id if number == 1 else f"{self.push_id}.{number}"
            agreed = self._consent()
            push, sending = self._list_push(push_id)
            push.before_send = self._before_send(agreed, sending)
            push.wait_for = sending.wait_for
            assert self.audience is not None  # noqa: S101 - the line before made it
            try:
                outcome = push.push(push_id, normalisation=self.audience.normalisation, is_full=self._is_full)
            except ConsentChangedError:
                continue
            now = {each.batch_id: each for each in push.poll()}
            return self._so_far("").settled(tuple(now.get(each.batch_id, each) for each in outcome.batches))
        raise FindingsError(
            f"Segment {self._name}: the consent table changed each of the {_CONSENT_TRIES} times that the push was "
            "planned. What was planned and not sent stays here.",
            hint="Push when nobody writes to it.",
        )

    def _without_refusers(self, stopped: PushedList, error: FindingsError) -> PushedList:
        """Take off whoever refused: a refusal waits for no guard."""
        try:
            batches = refusers_taken_off(
                self.audiences, self.segment.name, self.destination, f"{self.push_id}.refused", self.patience
            )
        except DestinationError as failure:
            return replace(stopped, failure=failure, warnings=(*stopped.warnings, error.message))
        sent = stopped.settled(batches)
        said = (*sent.warnings, *off_words(self._name, batches), *((error.message,) if sent.failure else ()))
        return replace(sent, outcome="stopped", failure=sent.failure or error, warnings=said)

    def _consent(self) -> str:
        return consent_signature(self.audiences.config.consent, self.audiences.engine, self.audiences.config.file)

    def _before_send(self, agreed: str, sending: Sending) -> Callable[[LedgerBatch], None]:
        """Read consent again before each batch that adds, and tell how far the push is."""
        sent = 0

        def before(batch: LedgerBatch) -> None:
            nonlocal sent
            sending.await_turn(self._name)
            if batch.operation == "add" and self._consent() != agreed:
                raise ConsentChangedError
            if self._origins is not None:
                self._origins.tell(sending, batch)
            self.wishes.on_progress(sent, self.plan.to_send if self.plan else 0, self._name)
            sent += 0 if batch.attempts else batch.identifiers

        return before


def _without_device(audience: ListAudience, people: int) -> ListAudience:
    """Say how many people the destination is told nothing of, since it knows devices only."""
    without = audience.written - people
    if not without:
        return audience
    said = (
        f"{audience.segment} at {audience.destination}: {wording.count(without)} of {wording.count(audience.written)} "
        "people have no device that only they signed in on, so it is told nothing of them."
    )
    return replace(audience, warnings=(*audience.warnings, said))
