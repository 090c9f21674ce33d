"""A list at a destination that behaves badly: slow, out of order, silent; in this process, with a clock of its own.

A mock, since no vendor can be reached: what it does wrong is what vendors document or were seen to do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLOWEST = 4
FOREIGN = Identifier("email", "somebody-elses@other.example")
"""On the list before us: it stays there."""


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class SlowList:
    """Requests take effect up to `SLOWEST` minutes later, in any order; while `is_faulty`, anything may go wrong."""

    chance: random.Random
    lifespan: timedelta | None = None
    kill: float = 0.0
    is_faulty: bool = True
    minute: int = 0
    listed: dict[Identifier, int] = field(default_factory=lambda: {FOREIGN: 1_000_000})
    waiting: list[tuple[int, str, Operation, tuple[Identifier, ...]]] = field(default_factory=list)
    became: dict[str, Answer] = field(default_factory=dict)
    asked: int = 0
    finished: int = 0
    closed_until: int = 0

    @property
    def limits(self) -> ListLimits:
        return ListLimits(
            most_identifiers=3,
            settles_after=SLOWEST * MINUTE,
            answers_for=30 * MINUTE,
            lifespan=self.lifespan,
        )

    def now(self) -> datetime | None:
        return START + self.minute * MINUTE

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        assert 0 < len(identifiers) <= self.limits.most_identifiers
        fault = self.chance.random() if self.is_faulty else 1.0
        if fault < 0.02:
            self.closed_until = self.minute + self.chance.randrange(1, 5)
        if self.is_faulty and self.minute < self.closed_until:
            raise RefusedError("the list is closed")
        if fault < 0.10:
            raise UnsureError("reset before the request was read")
        if fault < 0.13:
            raise TryLaterError("too many requests", retry_after=MINUTE)
        if fault < 0.16:
            raise RefusedError("a row is wrong", rows=[self.chance.randrange(len(identifiers))])
        if fault < 0.19:
            raise RefusedError("some row is wrong", rows=None)
        self.asked += 1
        request_id = f"r{self.asked}"
        due = self.minute + self.chance.randrange(SLOWEST)
        self.waiting.append((due, request_id, operation, tuple(identifiers)))
        self.became[request_id] = Answer("accepted", request_id)
        if fault < 0.29:
            raise UnsureError("the answer was lost")
        self._maybe_kill()
        return Answer("accepted", request_id)

    def ask(self, request_id: str) -> Answer:
        if self.is_faulty and self.chance.random() < 0.05:
            raise UnsureError("no answer")
        if self.is_faulty and self.chance.random() < 0.05:
            return Answer("unknown", request_id, reason="too old")
        return self.became[request_id]

    def finish(self) -> None:
        """Count: each request stands for itself."""
        self.finished += 1

    def tick(self, minutes: int = 1) -> None:
        """Let time pass."""
        self.minute += minutes
        due = [each for each in self.waiting if each[0] < self.minute]
        self.waiting = [each for each in self.waiting if each[0] >= self.minute]
        self.chance.shuffle(due)
        for _, request_id, operation, identifiers in due:
            taken = list(identifiers)
            if self.is_faulty and self.chance.random() < 0.1:
                taken.remove(self.chance.choice(taken))
            for each in taken:
                if operation == "add":
                    self.listed[each] = self.minute
                else:
                    self.listed.pop(each, None)
            self.became[request_id] = self._said(request_id, len(identifiers) - len(taken), is_none=not taken)
        if self.lifespan is not None:
            alive = self.lifespan // MINUTE
            self.listed = {each: at for each, at in self.listed.items() if self.minute - at < alive}

    def _said(self, request_id: str, lost: int, *, is_none: bool) -> Answer:
        """What is said of a request of which some identifiers were not taken: mostly how many, sometimes not."""
        if not lost:
            return Answer("success", request_id)
        is_counted = self.chance.random() < 0.7
        return Answer("failed" if is_none else "partial", request_id, rejected=lost if is_counted else None)

    def _maybe_kill(self) -> None:
        if self.is_faulty and self.chance.random() < self.kill:
            raise KilledError
