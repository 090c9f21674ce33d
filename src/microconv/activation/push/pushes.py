"""What can be done with lists at destinations: push them, say what that would be, ask what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.push.asked_lists import asked_status
from microconv.activation.push.audience_list import AudienceList
from microconv.activation.push.given_up import GivenUpList
from microconv.activation.push.ledger_views import (
    BatchesResult,
    BatchRow,
    ListStatus,
    StatusResult,
    VerifyResult,
    has_ledger,
    list_batches,
    verify,
)
from microconv.activation.push.list_places import check_places
from microconv.activation.push.list_plan import lists
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.one_list import OneList, Wishes
from microconv.activation.push.polling import polled
from microconv.activation.push.push_ledger import PushLedger, open_batches_query
from microconv.activation.push.push_result import PushResult
from microconv.activation.push.sending import Deadline, Rates, Sending
from microconv.activation.reach import Reach, reach
from microconv.activation.segment_audience import SegmentAudiences
from microconv.activation.sending_gate import SendingGate
from microconv.activation.sending_run import sending_run
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine
from microconv.errors import UsageError

_NOTHING_SPECIAL = Wishes()
_NEVER: Mapping[str, Any] = {
    **dict.fromkeys(("listed", "waiting", "unsettled", "refused"), 0),
    **dict.fromkeys(("last_sent_at", "oldest_added_at")),
}
"""What is known of a list that was never pushed to."""


@dataclass(frozen=True)
class Pushes:
    """Pushes of one project.

    Attributes:
        config: The configuration.
        engine: Where the staged tables and the ledger are.
        audiences: Gives what plans audiences.
        destination: Gives a destination of the configuration by its name.
        clock: Gives the current time.
        monotonic: Seconds that only grow.
        sleep: Waits for seconds.
    """

    config: Config
    engine: Engine
    audiences: Callable[[], SegmentAudiences]
    destination: Callable[[str], Destination]
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def push(
        self,
        segments: Sequence[str] = (),
        destinations: Sequence[str] = (),
        *,
        dry_run: bool = False,
        wishes: Wishes = _NOTHING_SPECIAL,
    ) -> PushResult:
        """Make lists what their segments are now. What stops or fails one list does not keep the others from it.

        Args:
            segments: Names of segments; none: all that name destinations.
            destinations: Names of destinations; none: those that each segment names.
            dry_run: Plan and check, but send nothing.
            wishes: What else is asked of the push.

        Raises:
            UsageError: There is no such segment or destination, or a segment cannot go there.
            ConfigError: There is no identity or consent table, or it cannot be read.
            LockedError: Another run holds the lock.
        """
        for name in wishes.allowed.guardrails:
            find_named(self.config.guardrails, name, "guardrail")
        wanted = [(segment, self.destination(name)) for segment, name in self._named(segments, destinations)]
        given_up = [] if segments else self._given_up(destinations)
        if not wanted and not given_up:
            raise UsageError(
                "No segment names a destination, so there is nothing to push.",
                hint='Add `destinations = ["NAME"]` under [[segments]], or name a segment and --to NAME.',
            )
        with sending_run(self.engine, "push", self.clock()) as push_id:
            audiences = self.audiences()
            self._check_lists(wanted, push_id)
            audiences = audiences.built(push_id, dry_run=dry_run)
            pushed = self._pushed(push_id, audiences, wanted, wishes, dry_run=dry_run)
            patience = self._patience()
            others = tuple(
                GivenUpList(
                    audiences, segment, self.destination(at), f"{push_id}.given-up-{number}", patience(at)
                ).without_refusers(dry_run=dry_run)
                for number, (segment, at) in enumerate(given_up, start=1)
            )
            return replace(pushed, lists=(*pushed.lists, *others))

    def reach(self, segment: str) -> Reach:
        """Say how much of a segment could be pushed anywhere, by consent and identifier; see `reach`."""
        return reach(self.audiences(), find_named(self.config.segments, segment, "segment"))

    def retire(self, segment: str, destination: str, *, dry_run: bool = False) -> PushResult:
        """Take everybody off a list that the configuration no longer has; no guard stops it.

        Args:
            segment: The name of the segment that it was the list of.
            destination: The name of its destination, which the configuration must still have.
            dry_run: Plan, but send nothing.

        Raises:
            UsageError: There is no such destination or list, or a segment still goes there.
            LockedError: Another run holds the lock.
        """
        find_named(self.config.destinations, destination, "destination")
        configured = {each.name: each.destinations for each in self.config.segments}
        if destination in configured.get(segment, ()):
            raise UsageError(
                f"Segment {segment} names the destination {destination}, so the next push would add everybody again.",
                hint=f'Take "{destination}" out of its `destinations` in the configuration first.',
            )
        check_places([(segment, destination)], self.config, self.destination)
        if not any((row["segment"], row["destination"]) == (segment, destination) for row in self._known()):
            raise UsageError(
                f"Nothing was ever pushed of {segment} to {destination}.",
                hint="`microconv push status` shows which lists there are.",
            )
        with sending_run(self.engine, "retire", self.clock()) as push_id:
            given_up = GivenUpList(
                self.audiences(), segment, self.destination(destination), push_id, self._patience()(destination)
            )
            return PushResult(push_id, dry_run, (given_up.emptied(dry_run=dry_run),))

    def _given_up(self, destinations: Sequence[str]) -> list[tuple[str, str]]:
        """Return segment and destination of lists that no segment goes to any more and that still hold somebody."""
        configured = {(segment.name, at) for segment in self.config.segments for at in segment.destinations}
        there = {each.name for each in self.config.destinations}
        lists_ = ((row["segment"], row["destination"]) for row in self._known() if row["listed"])
        return sorted(
            (segment, at)
            for segment, at in lists_
            if at in there and (not destinations or at in destinations) and (segment, at) not in configured
        )

    def _patience(self) -> Callable[[str], Callable[[AudienceList], Sending]]:
        """Return what gives for a destination what makes of a list one that is sent to with patience."""
        deadline = Deadline(self.config.push.deadline.seconds, self.monotonic)
        shared: dict[str, Rates] = {}

        def at(name: str) -> Callable[[AudienceList], Sending]:
            def patience(audience: AudienceList) -> Sending:
                rates = shared.setdefault(name, Rates.of(audience.limits, self.monotonic, self.sleep))
                return Sending(audience, deadline, self.monotonic, self.sleep, rates=rates)

            return patience

        return at

    def resume(self, *, wishes: Wishes = _NOTHING_SPECIAL) -> PushResult:
        """Go on with lists that a push left unfinished: with the members of that push, and with consent as it is now.

        Raises:
            LockedError: Another run holds the lock.
            ConfigError: There is no identity or consent table, or it cannot be read.
        """
        with sending_run(self.engine, "resume", self.clock()) as push_id:
            unfinished = {(row["segment"], row["destination"]) for row in self._known() if row["unsettled"]}
            wanted = [
                (segment, self.destination(at))
                for segment, at in self._configured()
                if (segment.name, at) in unfinished
            ]
            self._check_lists(wanted, push_id)
            return self._pushed(push_id, self.audiences(), wanted, wishes)

    def _pushed(
        self,
        push_id: str,
        audiences: SegmentAudiences,
        wanted: Sequence[tuple[SegmentConfig, Destination]],
        wishes: Wishes,
        *,
        dry_run: bool = False,
    ) -> PushResult:
        patience = self._patience()
        gate = SendingGate(
            self.config,
            audiences.taxonomy,
            self.engine,
            self.clock(),
            push_id,
            wishes.allowed.guardrails,
            is_kept=not dry_run,
        )
        gate.measure([segment for segment, _ in wanted])
        # Batches are named after their push, so that of each list has a name of its own.
        done = (
            OneList(
                audiences,
                segment,
                destination,
                f"{push_id}.{number}",
                patience(destination.settings.name),
                wishes,
                gate,
            ).result(dry_run=dry_run)
            for number, (segment, destination) in enumerate(wanted, start=1)
        )
        with self.engine.leave_room():
            return PushResult(push_id, dry_run, tuple(done))

    def poll(self, *, wait: bool = False, on_wait: Callable[[int], None] = lambda _: None) -> BatchesResult:
        """Ask what became of requests that are being worked on.

        Args:
            wait: Ask again until there is an answer to all, or `push.deadline` is over.
            on_wait: Is told how many requests are without an answer, before each wait.

        Raises:
            LockedError: Another run holds the lock.
        """
        deadline = Deadline(self.config.push.deadline.seconds, self.monotonic)
        with sending_run(self.engine, "poll", self.clock()) as push_id:
            patience = self._patience()
            waited_for = [self._list_push(segment, at, push_id, patience(at)) for segment, at in self._waited_for()]
            asked, said = polled(waited_for, deadline, self.sleep, wait=wait, on_wait=on_wait)
        return BatchesResult(tuple(map(BatchRow.of, asked)), said)

    def status(self, *, ask: bool = False) -> StatusResult:
        """Say what is known of each list: of those of the configuration, and of others that were pushed to.

        Args:
            ask: Ask each platform, too, what it says of them; one that does not answer is a note.
        """
        known = {(row["segment"], row["destination"]): row for row in self._known()}
        configured = {(segment.name, at) for segment, at in self._configured()}
        rows = []
        for segment, at in sorted(configured | set(known)):
            row = known.get((segment, at), _NEVER)
            oldest = row["oldest_added_at"]
            after = None if oldest is None else self._refresh_after(segment, at)
            note = "" if (segment, at) in known else "never pushed"
            if (segment, at) not in configured:
                note = "not in the configuration: only who refuses is removed"
            status = ListStatus(
                segment,
                at,
                **{name: row[name] for name in ("listed", "waiting", "unsettled", "refused")},
                last_sent_at=row["last_sent_at"],
                next_refresh_at=None if oldest is None or after is None else oldest + after,
                note=note,
            )
            rows.append(status)
        listed = sum(each.listed for each in rows)
        said = f"{wording.plural(len(rows), 'list')} with {wording.plural(listed, 'identifier')}."
        return asked_status(rows, said, self.destination) if ask else StatusResult(tuple(rows), said)

    def batches(
        self, destination: str | None = None, segment: str | None = None, *, is_open: bool = False, most: int = 20
    ) -> BatchesResult:
        """List batches of the ledger, the latest first."""
        return list_batches(self.engine, destination, segment, is_open=is_open, most=most)

    def verify(self) -> VerifyResult:
        """Say whether the ledger is whole."""
        return verify(self.engine)

    def _refresh_after(self, segment: str, at: str) -> timedelta | None:
        if at not in {each.name for each in self.config.destinations}:
            return None
        try:
            return self.destination(at).audience_list(segment, "status").limits.refresh_after
        except UsageError:  # its secrets are elsewhere: what was sent is known all the same
            return None

    def _list_push(self, segment: str, at: str, push_id: str, patience: Callable[[AudienceList], Sending]) -> ListPush:
        audience = patience(self.destination(at).audience_list(segment, push_id))
        return ListPush(PushLedger(self.engine, at, segment), audience, self.clock)

    def _waited_for(self) -> list[tuple[str, str]]:
        """Return the lists that a request is being worked on for, at destinations that are still there."""
        if not has_ledger(self.engine):
            return []
        queries = (open_batches_query(each.name, None) for each in self.config.destinations)
        rows = (row for query in queries for row in self.engine.query(query).to_pylist())
        return sorted({(row["segment"], row["destination"]) for row in rows if row["state"] == "accepted"})

    def _known(self) -> list[Mapping[str, Any]]:
        """Return what the ledger knows of each list."""
        return lists(self.engine) if has_ledger(self.engine) else []

    def _configured(self) -> list[tuple[SegmentConfig, str]]:
        """Return each segment with each of its destinations, and with others that it was pushed to by name."""
        known = [(row["segment"], row["destination"]) for row in self._known()]
        there = {each.name for each in self.config.destinations}
        return [
            (segment, at)
            for segment in self.config.segments
            for at in dict.fromkeys((*segment.destinations, *(to for name, to in known if name == segment.name)))
            if at in there
        ]

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
        return found

    def _check_lists(self, wanted: Sequence[tuple[SegmentConfig, Destination]], push_id: str) -> None:
        """Whether a segment can go to its destination shows before anything is sent."""
        check_places([(segment.name, at.settings.name) for segment, at in wanted], self.config, self.destination)
        for segment, destination in wanted:
            destination.audience_list(segment.name, push_id)
            devices = destination.accepts.devices
            labels = [each.property for each in self.config.sources]
            if devices is not None and (devices.property or labels[0]) not in labels:
                raise UsageError(
                    f"The destination {destination.settings.name} names a property that is not under [[sources]].",
                    hint=f"Its key property is one of: {', '.join(labels)}.",
                )
            if devices is not None and devices.property is None and len(set(labels)) > 1:
                raise UsageError(
                    f"The devices of which property the destination {destination.settings.name} is told is not said, "
                    f"and there are {wording.count(len(set(labels)))}.",
                    hint=f'Add property = "…" to its entry: {", ".join(labels)}.',
                )
        for destination in {each.settings.name: each for _, each in wanted}.values():
            destination.check_ready()
