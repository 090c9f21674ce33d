"""A push of one list: ask what came of what was sent, plan, write ahead, send, record. Killed anywhere, run it again.

The rules, each of which was broken in a model, and each break left wrong lists behind:

- Never two operations in flight on one identifier: while a batch is accepted, its identifiers wait.
- Written ahead: before a request leaves, the ledger says that it may have left.
- What may or may not have taken effect is said again at once, and once more when nothing older can arrive.
- Only what we added is removed; an identifier leaves with the last member that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from microconv.activation.push.audience_list import (
    FINAL,
    Answer,
    AudienceList,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.push_ledger import LedgerBatch, PlannedCounts, PushLedger

_MOST_NAMINGS = 20


@dataclass(frozen=True)
class ListOutcome:
    """What a push did: what it planned, its batches (also those of what was refused by name), and those asked about."""

    planned: PlannedCounts
    batches: tuple[LedgerBatch, ...]
    polled: tuple[LedgerBatch, ...]

    @property
    def is_settled(self) -> bool:
        """Whether the list is what is wanted, and nothing is left to be done or to be waited for."""
        return self.planned.is_settled


@dataclass
class ListPush:
    """A push of one list.

    Attributes:
        ledger: What is known of it.
        audience: The list.
        clock: This machine's clock, used where the destination tells none.
        check: Looks at what is planned before anything is written or sent, and raises what stops it.
        before_send: Called before each request leaves, also before one that leaves again; raises what stops the rest,
            such as changed consent.
        wait_for: Called when a request was not looked at, with how often that was; waits, and tells whether to send it
            again.
    """

    ledger: PushLedger
    audience: AudienceList
    clock: Callable[[], datetime]
    check: Callable[[PlannedCounts], None] = lambda _: None
    before_send: Callable[[LedgerBatch], None] = lambda _: None
    wait_for: Callable[[TryLaterError, int], bool] = lambda *_: False
    _latest: datetime | None = field(default=None, init=False)
    _refused: list[LedgerBatch] = field(default_factory=list, init=False)

    def now(self) -> datetime:
        """Return the time by which waits are measured: the destination's own, and never one that goes back."""
        told = self.audience.now() or self.clock()
        self._latest = told if self._latest is None else max(told, self._latest)
        return self._latest

    def poll(self) -> tuple[LedgerBatch, ...]:
        """Ask what became of each request that is not final; return these batches as they are now."""
        return tuple(self._asked(each) for each in self.ledger.open_batches())

    def push(self, push_id: str, *, normalisation: str, is_full: bool = False) -> ListOutcome:
        """Make the list what is wanted (the scratch table `wanted_identifiers`), as far as that can be done now."""
        limits = self.audience.limits
        polled = self.poll()
        counts = self.ledger.plan(
            self.now(), settles_after=limits.settles_after, refresh_after=limits.refresh_after, is_full=is_full
        )
        self.check(counts)
        if not counts.of("send") and not counts.of("forget"):
            return ListOutcome(counts, (), polled)
        planned = self.ledger.write_ahead(
            push_id, self.now(), normalisation=normalisation, most_identifiers=limits.most_identifiers
        )
        self._refused.clear()
        sent = [self.send(each) for each in planned]
        self.audience.finish()
        return ListOutcome(counts, (*(each for each in sent if each.identifiers), *self._refused), polled)

    def send(self, batch: LedgerBatch) -> LedgerBatch:
        """Send a batch; without the identifiers that are refused by name, until none is or too many times.

        Each time it leaves is written ahead, with the time: what is unsure is so until that long after the last.
        """
        namings = delays = 0
        while namings < _MOST_NAMINGS:
            self.before_send(batch)
            identifiers = self.ledger.identifiers(batch)
            # From here on it may have left, whatever happens.
            batch = self.ledger.put(batch, state="sent", sent_at=self.now(), attempts=batch.attempts + 1)
            try:
                answer = self.audience.send(batch.operation, identifiers)
            except UnsureError:
                return self.ledger.put(batch, sent_at=self.now())
            except TryLaterError as error:
                delays += 1
                if self.wait_for(error, delays):
                    continue
                answer = Answer("failed", reason=str(error))
            except RefusedError as error:
                named = sorted({place for place in error.rows or () if 0 <= place < len(identifiers)})
                if named:
                    namings += 1
                    batch = self._set_apart(batch, named, str(error), alone=True)
                    if batch.identifiers:
                        continue
                    return batch
                answer = Answer("failed", rejected=1 if error.rows is None else None, reason=str(error))
            if answer.refused:
                said = answer.reason or "refused by name"
                batch = self._set_apart(batch, answer.refused, said, alone=False)
                if not batch.identifiers:
                    return batch
                answer = replace(answer, reason=None)
            return self._recorded(batch, answer)
        return self._recorded(batch, Answer("failed", rejected=1, reason="refused by name too many times"))

    def _set_apart(self, batch: LedgerBatch, places: Sequence[int], reason: str, *, alone: bool) -> LedgerBatch:
        refused, rest = self.ledger.set_apart(batch, places, reason=reason, now=self.now(), alone=alone)
        self._refused.append(refused)
        return rest

    def _asked(self, batch: LedgerBatch) -> LedgerBatch:
        if batch.sent_at is None or batch.state == "planned":
            return batch
        if batch.state == "sent":
            if self.now() - batch.sent_at <= self.audience.limits.settles_after:
                return batch
            return self._recorded(batch, Answer("unknown", reason="no answer came"))
        answer = Answer("accepted")
        if batch.request_id is not None:
            with suppress(UnsureError, TryLaterError):
                answer = self.audience.ask(batch.request_id)
        if answer.state == "accepted" and self.now() - batch.sent_at > self.audience.limits.answers_for:
            answer = Answer("unknown", reason="the destination did not say in time")
        return batch if answer.state == "accepted" else self._recorded(batch, answer)

    def _recorded(self, batch: LedgerBatch, answer: Answer) -> LedgerBatch:
        return self.ledger.put(
            batch,
            state=answer.state,
            request_id=answer.request_id or batch.request_id,
            rejected=answer.rejected or (1 if answer.state == "partial" else None),
            reason=answer.reason,
            settled_at=self.now() if answer.state in FINAL else None,
        )
