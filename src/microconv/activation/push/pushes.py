"""What can be done with lists at destinations: push them, say what that would be, ask what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from microconv.activation.audience.first_party import consent_signature
from microconv.activation.audience_plan import AudiencePlan
from microconv.activation.destinations.base import Destination
from microconv.activation.push.identifiers import want
from microconv.activation.push.list_plan import ListPlan, plan_list
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_guards import Allowed, check_audience, check_changes
from microconv.activation.push.push_ledger import LedgerBatch, PlannedCounts, PushLedger
from microconv.activation.push.push_result import PushedList, PushResult
from microconv.activation.push.sending import Deadline, Sending
from microconv.activation.segment_audience import SegmentAudiences
from microconv.activation.sending_run import sending_run
from microconv.config.load import find_named
from microconv.config.sections import Config, PushGuards, SegmentConfig
from microconv.engines.base import Engine
from microconv.errors import DestinationError, FindingsError, UsageError

_CONSENT_TRIES = 3
_NOTHING_ALLOWED = Allowed()

OnProgress = Callable[[int, int, str], None]
"""Is told how many identifiers of a list were sent, of how many, and which list it is."""


class ConsentChangedError(Exception):
    """The consent table is not the one that the plan was made from."""


@dataclass(frozen=True)
class Pushes:
    """Pushes of one project.

    Attributes:
        config: The configuration.
        engine: Where the staged tables and the ledger are.
        audiences: Gives what plans audiences.
        destination: Gives a destination of the configuration by its name.
        clock: Gives the current time.
    """

    config: Config
    engine: Engine
    audiences: Callable[[], SegmentAudiences]
    destination: Callable[[str], Destination]
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)

    def push(
        self,
        segments: Sequence[str] = (),
        destinations: Sequence[str] = (),
        *,
        dry_run: bool = False,
        full: bool = False,
        allowed: Allowed = _NOTHING_ALLOWED,
        on_progress: OnProgress = lambda _done, _all, _list: None,
    ) -> PushResult:
        """Make lists what their segments are now. What stops or fails one list does not keep the others from it.

        Args:
            segments: Names of segments; none: all that name destinations.
            destinations: Names of destinations; none: those that each segment names.
            dry_run: Plan and check, but send nothing, and write nothing down.
            full: Say again whatever is on a list already.
            allowed: Guards that let it through.
            on_progress: Is told how far a list is.

        Raises:
            UsageError: There is no such segment or destination, or a segment cannot go there.
            ConfigError: There is no identity or consent table, or it cannot be read.
            LockedError: Another run holds the lock.
        """
        wanted = [(segment, self.destination(name)) for segment, name in self._named(segments, destinations)]
        deadline = Deadline(self.config.push.deadline.seconds)
        with sending_run(self.engine, "push", self.clock()) as push_id:
            for segment, destination in wanted:
                destination.audience_list(
                    segment.name, push_id
                )  # whether it can go there shows before anything is sent
            audiences = self.audiences()
            audiences.build(push_id)
            lists = tuple(
                _OneList(
                    self, audiences, segment, destination, f"{push_id}.{number}", deadline, full, allowed, on_progress
                ).result(dry_run=dry_run)
                for number, (segment, destination) in enumerate(wanted, start=1)
            )
        return PushResult(push_id, dry_run, lists)

    def _named(self, segments: Sequence[str], destinations: Sequence[str]) -> list[tuple[SegmentConfig, str]]:
        """Return the lists that are asked for: segments with the names of destinations."""
        for name in destinations:
            find_named(self.config.destinations, name, "destination")
        found: list[tuple[SegmentConfig, str]] = []
        for name in dict.fromkeys(segments):
            segment = find_named(self.config.segments, name, "segment")
            to = destinations or segment.destinations
            if not to:
                known = ", ".join(each.name for each in self.config.destinations) or "none is configured"
                raise UsageError(
                    f"Segment {name} names no destination.",
                    hint=f"Add `destinations` to it in the configuration, or --to NAME ({known}).",
                )
            found += [(segment, each) for each in dict.fromkeys(to)]
        if not segments:
            found = [
                (segment, each)
                for segment in self.config.segments
                for each in segment.destinations
                if not destinations or each in destinations
            ]
        if not found:
            raise UsageError(
                "No segment names a destination, so there is nothing to push.",
                hint='Add `destinations = ["NAME"]` under [[segments]], or name a segment and --to NAME.',
            )
        return found


@dataclass
class _OneList:
    """One list of a push."""

    pushes: Pushes
    audiences: SegmentAudiences
    segment: SegmentConfig
    destination: Destination
    push_id: str
    deadline: Deadline
    full: bool
    allowed: Allowed
    on_progress: OnProgress
    plan: ListPlan | None = field(default=None, init=False)
    audience: AudiencePlan | None = field(default=None, init=False)
    batches: list[LedgerBatch] = field(default_factory=list, init=False)

    def result(self, *, dry_run: bool) -> PushedList:
        """Plan, check and send."""
        try:
            return self._planned() if dry_run else self._pushed()
        except FindingsError as error:
            return self._so_far("stopped", error)
        except DestinationError as error:
            return self._so_far("failed", error)

    @property
    def _name(self) -> str:
        return f"{self.segment.name} at {self.destination.settings.name}"

    @property
    def _limits(self) -> PushGuards:
        return self.segment.push.over(self.destination.settings.push.over(self.pushes.config.push))

    def _so_far(self, outcome: str, failure: FindingsError | DestinationError | None = None) -> PushedList:
        audience = self.audience
        return PushedList(
            segment=self.segment.name,
            destination=self.destination.settings.name,
            plan=self.plan,
            excluded=audience.excluded if audience else {},
            batches=tuple(self.batches),
            outcome=outcome,
            warnings=audience.warnings if audience else (),
            failure=failure,
        )

    def _list_push(self, push_id: str) -> tuple[ListPush, Sending]:
        """Put what is wanted into the engine; return what makes the list that, and how requests leave."""
        pushes, audience = self.pushes, self.audiences.plan(self.segment, self.destination)
        self.audience = audience
        check_audience(
            audience,
            limits=self._limits,
            max_age=self.destination.settings.max_age,
            allowed=self.allowed,
            now=pushes.clock(),
            has_user_ids=self.audiences.has_user_ids,
        )
        ledger = PushLedger(pushes.engine, self.destination.settings.name, self.segment.name)
        ledger.prepare()
        want(pushes.engine, audience.audience.rows)
        facts = audience.facts(push_id, pushes.clock())
        sending = Sending(self.destination.audience_list(self.segment.name, push_id, facts), self.deadline)
        return ListPush(ledger, sending, pushes.clock, check=lambda counts: self._check(audience, counts)), sending

    def _check(self, audience: AudiencePlan, counts: PlannedCounts) -> None:
        self.plan = plan_list(self.pushes.engine, audience, counts)
        check_changes(audience, self.plan, limits=self._limits, allowed=self.allowed)

    def _planned(self) -> PushedList:
        push, sending = self._list_push(self.push_id)
        limits = sending.limits
        counts = push.ledger.plan(
            push.now(), settles_after=limits.settles_after, refresh_after=limits.refresh_after, is_full=self.full
        )
        push.check(counts)
        return self._so_far("would be sent" if self.plan and self.plan.to_send else "nothing to send")

    def _pushed(self) -> PushedList:
        for number in range(1, _CONSENT_TRIES + 1):
            push_id = self.push_id if number == 1 else f"{self.push_id}.{number}"
            agreed = self._consent()
            push, sending = self._list_push(push_id)
            push.before_send = self._before_send(agreed, sending)
            assert self.audience is not None  # noqa: S101 - the line before made it
            try:
                outcome = push.push(push_id, normalisation=self.audience.normalisation, is_full=self.full)
            except ConsentChangedError:
                continue
            now = {each.batch_id: each for each in push.poll()}
            return self._so_far("").settled(tuple(now.get(each.batch_id, each) for each in outcome.batches))
        raise FindingsError(
            f"Segment {self._name}: the consent table changed each of the {_CONSENT_TRIES} times that the push was "
            "planned. What was planned and not sent stays here.",
            hint="Push when nobody writes to it.",
        )

    def _consent(self) -> str:
        return consent_signature(self.pushes.config.consent, self.pushes.engine, self.pushes.config.file)

    def _before_send(self, agreed: str, sending: Sending) -> Callable[[LedgerBatch], None]:
        """Read consent again before each batch that adds, and tell how far the push is."""
        sent = 0

        def before(batch: LedgerBatch) -> None:
            nonlocal sent
            sending.check(self._name)
            if batch.operation == "add" and self._consent() != agreed:
                raise ConsentChangedError
            self.on_progress(sent, self.plan.to_send if self.plan else 0, self._name)
            sent += batch.identifiers

        return before
