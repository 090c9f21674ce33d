"""Random faults, kills and changes of mind: in the end a platform counts what happened, each order once, at its value.

A schedule has a time of faults, in which orders come, change their value, vanish or are refunded, and people withdraw
consent, and a quiet time. Designs that are known to be wrong run over the same schedules, and each must be found out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from activation.killed_engine import KilledEngine
from activation.slow_list import MINUTE, SLOWEST, START, KilledError
from activation.slow_platform import RULES, SlowPlatform
from activation.test_fault_schedules import number_of_schedules
from microconv.activation.conversions.conversion_ledger import ConversionLedger, ConversionList
from microconv.activation.conversions.converters import ORDERS, PEOPLE, Who
from microconv.activation.push.list_push import ListPush
from microconv.engines.duckdb import IN_MEMORY
from microconv.queries.templates import Query

SCHEDULES = 4
"""Of each kind of platform, in a usual run."""
MANY = 150
FAULTY, QUIET = 11, 7
A_DAY = 24 * 60 + 1
EUR = "EUR"


@dataclass
class Order:
    """An order: its value, whether it is there, and whether its person agrees."""

    micros: int
    standing: str = "there"
    agrees: bool = True

    @property
    def is_wanted(self) -> bool:
        return self.standing == "there" and self.agrees


class Shop:
    """Orders come and change; an order that was given back or whose person refused stays so."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.orders: dict[str, Order] = {}

    def change(self) -> None:
        if len(self.orders) < 9 and self.chance.random() < 0.8:
            self.orders[f"o{len(self.orders)}"] = Order(self.chance.randrange(1, 9) * 1_000_000)
        for order in self.orders.values():
            dice = self.chance.random()
            if dice < 0.08:
                order.micros = self.chance.randrange(1, 9) * 1_000_000
            elif dice < 0.14:
                order.standing = self.chance.choice(("gone", "refunded", "there", "not_final"))
            elif dice < 0.17:
                order.agrees = False

    def settle(self) -> None:
        """Let no day be open any more."""
        for order in self.orders.values():
            if order.standing == "not_final":
                order.standing = "there"


def load(engine: KilledEngine, shop: Shop) -> None:
    """Write what the engine of conversions finds in the staged tables, and who may be sent."""
    run = engine._connection.execute
    run(
        f"CREATE OR REPLACE TEMP TABLE {ORDERS} (order_id VARCHAR, property VARCHAR, event_date DATE, external_source "
        "VARCHAR, occurred_at TIMESTAMPTZ, actor_key BIGINT, user_id VARCHAR, value_micros BIGINT, currency VARCHAR, "
        "standing VARCHAR, said_who VARCHAR)"
    )
    run(f"CREATE OR REPLACE TEMP TABLE {PEOPLE} (order_id VARCHAR, reason VARCHAR, who VARCHAR)")
    who = Who({"gclid": "g"}, 1).text
    if not shop.orders:
        return
    orders = [
        (name, "p1", START.date(), None, START, 1, "u", order.micros, EUR, order.standing, None)
        for name, order in shop.orders.items()
    ]
    people = [
        (name, *((None, who) if order.agrees else ("consent_denied", None))) for name, order in shop.orders.items()
    ]
    for table, rows in ((ORDERS, orders), (PEOPLE, people)):
        marks = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))
        run(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])


def wrong_orders(seed: int, kind: str, ledger_type: type[ConversionLedger] = ConversionLedger) -> list[str]:
    """Run a schedule; return what was wrong at the end."""
    chance = random.Random(seed)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    platform = SlowPlatform(chance, RULES[kind], kill=0.05)
    shop = Shop(chance)
    platform.may_be_named = lambda order: shop.orders[order].agrees
    ledger = ledger_type(engine, "ads", "leads", RULES[kind], margin=timedelta(0))
    ledger.prepare()
    push = ListPush(ledger, ConversionList(platform), lambda: START + chance.randrange(-5_000, 5_000) * MINUTE)
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
        else:
            shop.settle()
            platform.is_faulty, engine.kill = False, 0.0
        load(engine, shop)
        with suppress(KilledError):
            push.push(f"p{step}", normalisation="n1")
        platform.tick()
        if step == FAULTY:  # what was refused by name waits a day
            platform.tick(SLOWEST)
            platform.tick(A_DAY)
    load(engine, shop)
    left = {
        row[0]: row[1]
        for row in engine._connection.execute(
            "SELECT order_id, verdict FROM conversion_changes WHERE verdict IN ('stands', 'lost')"
        ).fetchall()
    }
    engine.close()
    return [f"seed {seed}: {each}" for each in differences(platform, shop, left)]


def differences(platform: SlowPlatform, shop: Shop, left: dict[str, str]) -> Iterator[str]:
    retracts = platform.rules.adjustments.retracts
    for name, counted in platform.orders.items():
        if counted.times > 1:
            yield f"{name} counts {counted.times} times"
        if name not in shop.orders:
            yield f"{name} never happened"
    for name, order in shop.orders.items():
        counted = platform.orders.get(name)
        if order.is_wanted:
            if counted is None and name not in platform.taken_back and left.get(name) != "lost":
                yield f"{name} is missing"
            restates = platform.rules.adjustments.restates
            if restates and counted is not None and counted.value_micros != order.micros:
                yield f"{name} is worth {counted.value_micros}, not {order.micros}"
        elif counted is not None:
            # Who withdrew consent is not named again: what was told before stands.
            may_be_told = order.agrees or platform.rules.adjustments.by_order_id
            if retracts == "whole" and may_be_told:
                yield f"{name} still counts"
            if retracts == "value" and may_be_told and counted.value_micros:
                yield f"{name} is still worth {counted.value_micros}"
    for name, verdict in left.items():
        if verdict == "lost" and platform.rules.recognises_for is None:
            yield f"{name} was given up"


@pytest.mark.parametrize("kind", RULES)
def test_after_any_faults_a_platform_counts_each_order_once_at_its_value(kind: str):
    for seed in range(number_of_schedules(SCHEDULES)):
        assert wrong_orders(seed, kind) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", RULES)
def test_after_any_faults_of_many_schedules_a_platform_counts_each_order_once(kind: str):
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert wrong_orders(seed, kind) == []


def edited(old: str, new: str) -> type[ConversionLedger]:
    """The ledger with another text in the plan's query."""

    class EditedLedger(ConversionLedger):
        def changes_query(self, *args: object, **named: object) -> Query:
            query = super().changes_query(*args, **named)  # type: ignore[arg-type]  # those of the ledger
            assert query.sql.count(old) == 1, old
            return replace(query, sql=query.sql.replace(old, new))

    return EditedLedger


class Broken(NamedTuple):
    """A design, the kind of platform that it is wrong for, and the seed that is known to find it out."""

    kind: str
    seed: int
    old: str
    new: str


BROKEN = {
    "an answer is not waited for": Broken(
        "upsert",
        15,
        "WHEN i.state = 'accepted' THEN 'hold'",
        "WHEN i.state = 'accepted' AND i.operation = i.said THEN 'hold'",
    ),
    "what is unsure is not said again when nothing older can arrive": Broken(
        "upsert",
        6,
        "IF(b.state IN ('sent', 'unknown'), UNIX_MICROS(b.sent_at) + @settle_us, NULL)",
        "NULLIF(@settle_us, @settle_us)",
    ),
    "what may have arrived is forgotten": Broken(
        "upsert",
        2,
        "THEN IF(b.was_sent, 'retract', NULL)",
        "THEN IF(b.was_sent AND b.state = 'success', 'retract', NULL)",
    ),
    "an order is said again when it is no longer known again": Broken(
        "dedupes", 0, "WHEN i.was_sent AND i.is_forgotten AND i.operation != 'retract' THEN 'lost'", ""
    ),
    "another value is not told": Broken(
        "upsert", 0, "COALESCE(s.value_micros, -1) != COALESCE(o.value_micros, -1)", "FALSE"
    ),
    "a person is named whose consent is withdrawn": Broken(
        "upsert", 0, "WHEN i.reason IS NOT NULL AND NOT @by_order_id", "WHEN FALSE AND NOT @by_order_id"
    ),
}


@pytest.mark.parametrize("design", BROKEN)
def test_a_design_that_is_known_to_be_wrong_is_found_out(design: str):
    broken = BROKEN[design]
    ledger = edited(broken.old, broken.new)
    assert any(is_wrong(seed, broken.kind, ledger) for seed in range(broken.seed, broken.seed + 40))


def is_wrong(seed: int, kind: str, ledger: type[ConversionLedger]) -> bool:
    try:
        return bool(wrong_orders(seed, kind, ledger))
    except AssertionError:  # the platform saw it at once
        return True
