"""An ad platform that takes conversions and behaves badly: slow, out of order, silent; with a clock of its own.

A mock, since no vendor can be reached. It comes in the kinds that there are: one that takes another value for an order
that it has (`upsert`), one that only knows an order id again for a while (`dedupes`), one that takes conversions back
for good (`retracts`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from activation.slow_list import MINUTE, SLOWEST, START, KilledError
from microconv.activation.audience.normalise import GOOGLE
from microconv.activation.conversions.conversion_destination import (
    Adjustments,
    Conversion,
    ConversionOperation,
    ConversionRules,
)
from microconv.activation.push.audience_list import Answer, ListLimits, RefusedError, TryLaterError, UnsureError

RECOGNISES = 12 * MINUTE
RULES = {
    "upsert": ConversionRules(
        "an upsert",
        frozenset({"gclid", "gbraid", "wbraid"}),
        frozenset({"email", "phone"}),
        GOOGLE,
        max_age=timedelta(days=90),
        adjustments=Adjustments(restates=True, retracts="value"),
    ),
    "dedupes": ConversionRules(
        "a short memory",
        frozenset({"fbclid"}),
        frozenset({"email"}),
        GOOGLE,
        max_age=timedelta(days=7),
        recognises_for=RECOGNISES,
    ),
    "retracts": ConversionRules(
        "a full one",
        frozenset({"gclid"}),
        frozenset({"email"}),
        GOOGLE,
        max_age=timedelta(days=90),
        adjustments=Adjustments(restates=True, retracts="whole", by_order_id=True),
    ),
}


@dataclass
class Counted:
    """What the platform has of an order: its value, how often it counts, and when it came first."""

    value_micros: int | None
    times: int
    first_at: datetime


@dataclass
class SlowPlatform:
    """Requests take effect up to `SLOWEST` minutes later, in any order; while `is_faulty`, anything may go wrong.

    `may_be_named` says of which orders anything may be sent at this moment that names a person.
    """

    chance: random.Random
    rules: ConversionRules
    kill: float = 0.0
    is_faulty: bool = True
    minute: int = 0
    orders: dict[str, Counted] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    waiting: list[tuple[int, str, ConversionOperation, tuple[Conversion, ...]]] = field(default_factory=list)
    became: dict[str, Answer] = field(default_factory=dict)
    received: list[tuple[ConversionOperation, tuple[Conversion, ...]]] = field(default_factory=list)
    may_be_named: Callable[[str], bool] = lambda _order: True
    checked: list[tuple[Conversion, ...]] = field(default_factory=list)

    @property
    def limits(self) -> ListLimits:
        return ListLimits(most_identifiers=3, settles_after=SLOWEST * MINUTE, answers_for=30 * MINUTE)

    def now(self) -> datetime | None:
        return START + self.minute * MINUTE

    def validate(self, conversions: Sequence[Conversion]) -> Answer | None:
        self.checked.append(tuple(conversions))
        return Answer("success", reason="all sound")

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        assert 0 < len(conversions) <= self.limits.most_identifiers
        adjustments = self.rules.adjustments
        assert operation != "restate" or adjustments.restates
        assert operation != "retract" or adjustments.retracts
        for each in conversions:
            names = bool(each.clicks or each.identifiers)
            assert not names or self.may_be_named(each.order_id), "sent without consent"
            assert names or (operation == "retract" and adjustments.by_order_id), "sent without anything to match"
        fault = self.chance.random() if self.is_faulty else 1.0
        if fault < 0.08:
            raise UnsureError("reset before the request was read")
        if fault < 0.11:
            raise TryLaterError("too many requests", retry_after=MINUTE)
        if fault < 0.14:
            raise RefusedError("a row is wrong", rows=[self.chance.randrange(len(conversions))])
        if fault < 0.17:
            raise RefusedError("some row is wrong", rows=None)
        self.received.append((operation, tuple(conversions)))
        request_id = f"r{len(self.received)}"
        due = self.minute + (self.chance.randrange(SLOWEST) if self.is_faulty else 0)
        self.waiting.append((due, request_id, operation, tuple(conversions)))
        self.became[request_id] = Answer("accepted", request_id)
        if fault < 0.28:
            raise UnsureError("the answer was lost")
        if self.is_faulty and self.chance.random() < self.kill:
            raise KilledError
        return Answer("accepted", request_id)

    def ask(self, request_id: str) -> Answer:
        if self.is_faulty and self.chance.random() < 0.05:
            raise UnsureError("no answer")
        if self.is_faulty and self.chance.random() < 0.05:
            return Answer("unknown", request_id, reason="too old")
        return self.became[request_id]

    def tick(self, minutes: int = 1) -> None:
        """Let time pass."""
        self.minute += minutes
        due = [each for each in self.waiting if each[0] < self.minute]
        self.waiting = [each for each in self.waiting if each[0] >= self.minute]
        self.chance.shuffle(due)
        for _, request_id, operation, conversions in due:
            taken = list(conversions)
            if self.is_faulty and self.chance.random() < 0.1:
                taken.remove(self.chance.choice(taken))
            for each in taken:
                self._take(operation, each)
            lost = len(conversions) - len(taken)
            counted = lost if self.chance.random() < 0.7 else None
            state = "success" if not lost else "partial" if taken else "failed"
            self.became[request_id] = Answer(state, request_id, rejected=counted if lost else None)

    def _take(self, operation: ConversionOperation, conversion: Conversion) -> None:
        order, now = conversion.order_id, START + self.minute * MINUTE
        known = self.orders.get(order)
        if operation == "retract" and self.rules.adjustments.retracts == "whole":
            self.orders.pop(order, None)
            self.taken_back.add(order)
        elif known is None:
            if order not in self.taken_back:
                self.orders[order] = Counted(conversion.value_micros, 1, now)
        elif self.rules.adjustments.restates:
            known.value_micros = conversion.value_micros
        elif now - known.first_at > (self.rules.recognises_for or timedelta.max):
            known.times += 1
