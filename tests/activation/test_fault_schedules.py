"""Random faults, kills and changes of mind: in the end the list is what is wanted, and nobody who left is on it.

A schedule has a time of faults, in which people come, go, change their address and refuse, and a quiet time. Whenever a
push says that all is settled, and at the end, the list must be what was wanted. Designs that are known to be wrong run
over the same schedules, and each must leave wrong lists: what these tests cannot see they cannot tell.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from activation.killed_engine import KilledEngine
from activation.slow_list import FOREIGN, MINUTE, START, KilledError, SlowList
from microconv.activation.push.audience_list import (
    Identifier,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import WANTED, PlannedCounts, PushLedger
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
from microconv.queries.templates import Query

LIFESPANS = (None, 25 * MINUTE, timedelta(days=540))
SCHEDULES = 8
"""Of each lifespan, in a usual run; MICROCONV_SCHEDULES says another number. `make test-long` runs many more."""
MANY = 180
FAULTY, QUIET = 24, 14
A_DAY = 24 * 60 + 1
ADDRESSES = [Identifier("email", f"{letter}@shop.example") for letter in "abcdefgh"]


class Shop:
    """People with addresses, some shared; who is wanted changes, and so do addresses; some refuse for good."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.addresses = {person: self._some() for person in range(8)}
        self.wanted: set[int] = set()
        self.refused: set[Identifier] = set()

    def _some(self) -> tuple[Identifier, ...]:
        return tuple(self.chance.sample(ADDRESSES, self.chance.choice((1, 1, 2))))

    def change(self) -> None:
        for person in self.addresses:
            if self.chance.random() < 0.15:
                self.wanted ^= {person}
            if self.chance.random() < 0.03:
                self.addresses[person] = self._some()
        if self.chance.random() < 0.03:
            self.refused.add(self.chance.choice(ADDRESSES))

    def identifiers(self, people: Iterable[int] | None = None) -> Counter[Identifier]:
        """What these people are wanted by, by default all who are wanted; a refused address is nobody's."""
        people = self.wanted if people is None else people
        return Counter(each for person in people for each in self.addresses[person] if each not in self.refused)


class Pusher(Protocol):
    """A way to make a list what is wanted."""

    def push(self, push_id: str) -> PlannedCounts | None:
        """Push; return what was planned, where that is known."""
        ...


@dataclass
class OurPush:
    """The engine of a push as it is, or with another text of the plan's query."""

    shop: Shop
    audience: SlowList
    ledger: PushLedger
    clock: Callable[[], datetime]

    def push(self, push_id: str) -> PlannedCounts | None:
        want(self.ledger.engine, self.shop.identifiers())
        return ListPush(self.ledger, self.audience, self.clock).push(push_id, normalisation="n1").planned


@dataclass
class MembersDiffed:
    """Wrong: it keeps which members were sent, not which identifiers; they are marked before sending or after it."""

    shop: Shop
    audience: SlowList
    is_marked_before: bool
    marked: dict[int, tuple[Identifier, ...]] = field(default_factory=dict)

    def push(self, push_id: str) -> None:  # noqa: ARG002 - it keeps no record of pushes
        gone = {person: self.marked[person] for person in self.marked if person not in self.shop.wanted}
        new = {person: tuple(self.shop.identifiers([person])) for person in self.shop.wanted - self.marked.keys()}
        changes: list[tuple[Operation, dict[int, tuple[Identifier, ...]]]] = [("remove", gone), ("add", new)]
        for operation, people in changes:
            for person, identifiers in people.items():
                if self.is_marked_before:
                    self._mark(operation, person, identifiers)
                try:
                    if identifiers:
                        self.audience.send(operation, identifiers)
                except (UnsureError, RefusedError, TryLaterError):
                    continue
                self._mark(operation, person, identifiers)

    def _mark(self, operation: Operation, person: int, identifiers: tuple[Identifier, ...]) -> None:
        if operation == "add":
            self.marked[person] = identifiers
        else:
            self.marked.pop(person, None)


def want(engine: DuckDBEngine, identifiers: Counter[Identifier]) -> None:
    engine._connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {WANTED} (kind VARCHAR, identifier VARCHAR, people BIGINT)"
    )
    if identifiers:
        rows = [(each.kind, each.value, people) for each, people in identifiers.items()]
        marks = ", ".join(["(?, ?, ?)"] * len(rows))
        engine._connection.execute(f"INSERT INTO {WANTED} VALUES {marks}", [value for row in rows for value in row])


Make = Callable[[Shop, SlowList, PushLedger, Callable[[], datetime]], Pusher]


def wrong_lists(seed: int, lifespan: timedelta | None, make: Make = OurPush) -> list[str]:
    """Run a schedule; return what was wrong: who was on the list against our will, and who was missing, when."""
    chance = random.Random(seed)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    audience = SlowList(chance, lifespan, kill=0.05)
    shop = Shop(chance)
    ledger = PushLedger(engine, "ads", "buyers")
    ledger.prepare()
    # This machine's clock jumps; the destination's does not.
    pusher = make(shop, audience, ledger, lambda: START + chance.randrange(-5_000, 5_000) * MINUTE)
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
        else:
            audience.is_faulty, engine.kill = False, 0.0
        planned = None
        with suppress(KilledError):
            planned = pusher.push(f"p{step}")
        if planned is not None and planned.is_settled and not planned.of("refused"):
            wrong += differences(audience, shop, f"seed {seed}, settled at step {step}")
        # What was refused by name waits a day.
        audience.tick(A_DAY if step == FAULTY else 1)
    engine.close()
    return wrong + differences(audience, shop, f"seed {seed}, at the end")


def differences(audience: SlowList, shop: Shop, when: str) -> list[str]:
    listed, wanted = set(audience.listed), {*shop.identifiers(), FOREIGN}
    return [f"{when}: {len(listed - wanted)} too many, {len(wanted - listed)} missing"] if listed != wanted else []


def number_of_schedules(usual: int) -> int:
    return int(os.environ.get("MICROCONV_SCHEDULES", usual))


@pytest.mark.parametrize("lifespan", LIFESPANS, ids=str)
def test_after_any_faults_the_list_is_what_is_wanted(lifespan: timedelta | None):
    for seed in range(number_of_schedules(SCHEDULES)):
        assert wrong_lists(seed, lifespan) == []


@pytest.mark.long
@pytest.mark.parametrize("lifespan", LIFESPANS, ids=str)
def test_after_any_faults_of_many_schedules_the_list_is_what_is_wanted(lifespan: timedelta | None):
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert wrong_lists(seed, lifespan) == []


def edited(*edits: tuple[str, str]) -> Make:
    """The push with another text in the plan's query."""

    class EditedLedger(PushLedger):
        def changes_query(self, *args: object, **named: object) -> Query:
            query = super().changes_query(*args, **named)
            for old, new in edits:
                assert query.sql.count(old) == 1, old
                query = replace(query, sql=query.sql.replace(old, new))
            return query

    return lambda shop, audience, ledger, clock: OurPush(
        shop, audience, EditedLedger(ledger.engine, ledger.destination, ledger.segment), clock
    )


BROKEN: dict[str, Make] = {
    "members are marked after sending": lambda shop, audience, _ledger, _clock: MembersDiffed(shop, audience, False),
    "members are marked before sending": lambda shop, audience, _ledger, _clock: MembersDiffed(shop, audience, True),
    "identifiers without states": edited(
        ("COALESCE(b.state, 'unknown') AS state", "'success' AS state"),
    ),
    "an answer is not waited for": edited(
        ("WHEN b.state = 'accepted' THEN 'hold'", "WHEN b.state = 'accepted' AND b.operation = b.said THEN 'hold'"),
    ),
    "what is unsure is not said again when nothing older can arrive": edited(
        (
            "IF(b.state IN ('sent', 'unknown'), UNIX_MICROS(b.sent_at) + @settle_us, NULL)",
            "NULLIF(@settle_us, @settle_us)",
        ),
    ),
}


RARE = {"an answer is not waited for": 6, "what is unsure is not said again when nothing older can arrive": 19}
"""The first schedule in which a design leaves a wrong list, where that takes many: those before need not run."""


@pytest.mark.parametrize("design", BROKEN)
def test_a_design_that_is_known_to_be_wrong_is_found_out(design: str):
    assert any(wrong_lists(seed, None, BROKEN[design]) for seed in range(RARE.get(design, 0), 60))
