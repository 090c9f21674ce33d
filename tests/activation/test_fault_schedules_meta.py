"""Random faults of Meta's Graph API over real HTTP: in the end the audience is what is wanted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import SecretStr

from activation.slow_list import KilledError
from activation.test_fault_schedules import ADDRESSES, KilledEngine, number_of_schedules, want
from activation.test_fault_schedules import Shop as RawShop
from meta_server import ACCOUNT, APP_SECRET, MINUTE, SLOWEST, TOKEN, MetaModel, MetaServer, serving
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.meta import CustomAudience, MetaList
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, Operation, UnsureError
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import PlannedCounts, PushLedger
from microconv.clients.graph import Graph
from microconv.clients.outgoing import Outgoing
from microconv.engines.duckdb import IN_MEMORY

SCHEDULES = 6
"""In a usual run; `make test-long` runs many more."""
MANY = 120
FAULTY, QUIET = 14, 7
A_DAY = 24 * 60 + 1
MARK = "Kept by microconv: meta/buyers"
FOREIGN = Identifier("email", sha256_hex("somebody-elses@shop.example"))
KINDS = frozenset({"email", "phone", "address"})


def hashed(identifier: Identifier) -> Identifier:
    return Identifier(identifier.kind, sha256_hex(identifier.value))


class Shop(RawShop):
    """The shop of all schedules, whose addresses are hashed."""

    def identifiers(self, people: Iterable[int] | None = None) -> Counter[Identifier]:
        return Counter({hashed(each): count for each, count in super().identifiers(people).items()})


class KilledList(MetaList):
    """The list in a process that may end before or after each request."""

    chance = random.Random(0)
    kill = 0.0

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        self._maybe()
        answer = super().send(operation, identifiers)
        self._maybe()
        return answer

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


@pytest.fixture(scope="module")
def server() -> Iterator[MetaServer]:
    with serving() as server:
        yield server


def run(seed: int, server: MetaServer, list_type: type[KilledList] = KilledList) -> list[str]:
    """Run a schedule; return what was wrong whenever all was settled, and at the end."""
    chance = random.Random(seed)
    model = server.model = MetaModel(chance, is_faulty=True)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    limits = ListLimits(3, settles_after=SLOWEST * MINUTE, answers_for=timedelta(days=2))
    shop = Shop(chance)
    ledger = PushLedger(engine, "meta", "buyers")
    ledger.prepare()
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
            model.refuses = {hashed(each) for each in ADDRESSES if chance.random() < 0.05}
        else:
            model.is_faulty, engine.kill, model.refuses = False, 0.0, set()
        graph = Graph(SecretStr(TOKEN), SecretStr(APP_SECRET), Outgoing(5.0), server.address)
        there = CustomAudience(graph, ACCOUNT, mark=MARK, name="buyers", source="USER_PROVIDED_ONLY")
        audience = list_type(there, KINDS, limits, model.timestamp)
        audience.chance, audience.kill = chance, 0.04 if model.is_faulty else 0.0
        planned: PlannedCounts | None = None
        with suppress(KilledError):
            want(engine, shop.identifiers())
            planned = ListPush(ledger, audience, lambda: model.now).push(f"p{step}", normalisation="n1").planned
        for each in model.audiences.values():
            # What somebody else put there stays.
            each.listed[FOREIGN] = 0
        if planned is not None and planned.is_settled and not planned.of("refused"):
            wrong += differences(model, shop, f"seed {seed}, settled at step {step}")
        model.tick(2 if step < FAULTY else A_DAY if step == FAULTY else SLOWEST + 1)
    engine.close()
    return wrong + differences(model, shop, f"seed {seed}, at the end")


def differences(model: MetaModel, shop: Shop, when: str) -> list[str]:
    if len(model.audiences) > 1:
        return [f"{when}: {len(model.audiences)} audiences"]
    listed = set().union(*(each.listed for each in model.audiences.values())) - {FOREIGN}
    wanted = set(shop.identifiers())
    return [f"{when}: {len(listed - wanted)} too many, {len(wanted - listed)} missing"] if listed != wanted else []


def test_after_any_faults_of_meta_the_audience_is_what_is_wanted(server: MetaServer) -> None:
    for seed in range(number_of_schedules(SCHEDULES)):
        assert run(seed, server) == []


@pytest.mark.long
@pytest.mark.parametrize("block", range(4))
def test_after_any_faults_of_many_schedules_the_audience_is_what_is_wanted(block: int, server: MetaServer) -> None:
    size = MANY // 4
    for seed in range(1_000 + block * size, 1_000 + (block + 1) * size):
        assert run(seed, server) == []


class LostAnswersAreGood(KilledList):
    """Wrong: what was not answered is taken for done, as a page of HTML is by the vendor's own package."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        try:
            return super().send(operation, identifiers)
        except UnsureError:
            return Answer("success", "r")


class AcknowledgedIsDone(KilledList):
    """Wrong: what was acknowledged is taken for done, and the opposite may overtake it."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        answer = super().send(operation, identifiers)
        return Answer("success", answer.request_id)


class InvalidIsDone(KilledList):
    """Wrong: rows that Meta calls invalid are taken for done."""

    def ask(self, request_id: str) -> Answer:
        answer = super().ask(request_id)
        return answer if answer.state == "accepted" else Answer("success", request_id)


@pytest.mark.parametrize("wrong", [LostAnswersAreGood, AcknowledgedIsDone, InvalidIsDone])
def test_a_list_that_is_known_to_be_wrong_is_found_out(wrong: type[KilledList], server: MetaServer) -> None:
    assert any(run(seed, server, wrong) for seed in range(60))
