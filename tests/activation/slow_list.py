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
    UnsureError,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLOWEST = 4


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
    listed: dict[Identifier, int] = field(default_factory=dict)
    waiting: list[tuple[int, str, Operation, tuple[Identifier, ...]]] = field(default_factory=list)
    became: dict[str, Answer] = field(default_factory=dict)
    asked: int = 0

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
        fault = self.chance.random() if self.is_faulty else 1.0
        if fault < 0.10:
            raise UnsureError("reset before the request was read")
        if fault < 0.15:
            raise RefusedError("quota exceeded")
        self.asked += 1
        request_id = f"r{self.asked}"
        due = self.minute + self.chance.randrange(SLOWEST)
        self.waiting.append((due, request_id, operation, tuple(identifiers)))
        self.became[request_id] = Answer("accepted", request_id)
        if fault < 0.25:
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
        """Do nothing: each request stands for itself."""

    def tick(self) -> None:
        """Let a minute pass."""
        self.minute += 1
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
            lost = len(identifiers) - len(taken)
            state = "success" if not lost else "partial" if taken else "failed"
            self.became[request_id] = Answer(state, request_id, rejected=lost or None)
        if self.lifespan is not None:
            alive = self.lifespan // MINUTE
            self.listed = {each: at for each, at in self.listed.items() if self.minute - at < alive}

    def _maybe_kill(self) -> None:
        if self.is_faulty and self.chance.random() < self.kill:
            raise KilledError
