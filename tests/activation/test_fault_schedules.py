"""Random faults, kills and changes of mind: in the end the list is what is wanted, and nobody who left is on it."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from activation.slow_list import MINUTE, START, KilledError, SlowList
from microconv.activation.push.audience_list import Identifier
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import WANTED, PushLedger
from microconv.engines.base import Change
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine

SCHEDULES = int(os.environ.get("MICROCONV_SCHEDULES", "40"))
LIFESPANS = (None, 25 * MINUTE, timedelta(days=540))
ADDRESSES = [Identifier("email", f"{letter}@shop.example") for letter in "abcdefgh"]


class KilledEngine(DuckDBEngine):
    """DuckDB in a process that may end before or after each transaction."""

    chance = random.Random(0)
    kill = 0.0

    def apply(self, changes: Sequence[Change]) -> None:
        self._maybe()
        super().apply(changes)
        self._maybe()

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


class Shop:
    """People with addresses, some shared; who is wanted changes, and so do addresses."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.addresses = {person: self._some() for person in range(8)}
        self.wanted: set[int] = set()

    def _some(self) -> tuple[Identifier, ...]:
        return tuple(self.chance.sample(ADDRESSES, self.chance.choice((1, 1, 2))))

    def change(self) -> None:
        for person in self.addresses:
            if self.chance.random() < 0.12:
                self.wanted ^= {person}
            if self.chance.random() < 0.02:
                self.addresses[person] = self._some()

    def identifiers(self) -> Counter[Identifier]:
        return Counter(each for person in self.wanted for each in self.addresses[person])


def want(engine: DuckDBEngine, identifiers: Counter[Identifier]) -> None:
    engine._connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {WANTED} (kind VARCHAR, identifier VARCHAR, people BIGINT)"
    )
    if identifiers:
        rows = [(each.kind, each.value, people) for each, people in identifiers.items()]
        engine._connection.executemany(f"INSERT INTO {WANTED} VALUES (?, ?, ?)", rows)


def run(seed: int, lifespan: timedelta | None, push_type: Any = ListPush) -> tuple[set[Identifier], set[Identifier]]:
    """Run a schedule; return who is on the list against our will, and who is missing."""
    chance = random.Random(seed)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    audience = SlowList(chance, lifespan, kill=0.05)
    shop = Shop(chance)
    ledger = PushLedger(engine, "ads", "buyers")
    ledger.prepare()
    for step in range(70):
        if step < 40:
            shop.change()
        else:
            audience.is_faulty, engine.kill = False, 0.0
        want(engine, shop.identifiers())
        with suppress(KilledError):
            push_type(ledger, audience, lambda: START).push(f"p{step}", normalisation="n1")
        audience.tick()
    wanted = set(shop.identifiers())
    engine.close()
    return set(audience.listed) - wanted, wanted - set(audience.listed)


@pytest.mark.parametrize("lifespan", LIFESPANS, ids=str)
@pytest.mark.parametrize("block", range(4))
def test_after_any_faults_the_list_is_what_is_wanted(block: int, lifespan: timedelta | None):
    size = -(-SCHEDULES // (4 * len(LIFESPANS)))
    for seed in range(block * size, (block + 1) * size):
        assert run(seed, lifespan) == (set(), set()), f"seed {seed}"
