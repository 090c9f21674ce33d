"""Random faults by gRPC and by REST: through Google's own client, the list is what is wanted in the end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from tenacity import Retrying, wait_none

from activation.slow_list import KilledError
from activation.test_fault_schedules import ADDRESSES, KilledEngine, Shop, number_of_schedules, want
from data_manager_server import MINUTE, SLOWEST, START, DataManagerModel, DataManagerServer, serving
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.google_ads import CustomerMatchList, GoogleAdsList
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, Operation, UnsureError
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import PlannedCounts, PushLedger
from microconv.clients.data_manager import Account, DataManager, DataManagerAccess
from microconv.engines.duckdb import IN_MEMORY

SCHEDULES = 4
"""In a usual run, by gRPC and by REST each; `make test-long` runs many more."""
MANY = 120
FAULTY, QUIET = 16, 10
LIFESPANS = (timedelta(minutes=25), timedelta(days=540))
A_DAY = 24 * 60 + 1
CODE = "microconv:google:buyers"
FOREIGN = ("email", sha256_hex("somebody-elses@shop.example"))


class KilledList(GoogleAdsList):
    """The list in a process that may end before or after each request."""

    chance = random.Random(0)
    kill = 0.0

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        self._maybe()
        answer = super().send(operation, [_hashed(each) for each in identifiers])
        self._maybe()
        return answer

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


def _hashed(each: Identifier) -> Identifier:
    return Identifier(each.kind, sha256_hex(each.value))


@pytest.fixture(scope="module")
def server() -> Iterator[DataManagerServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request: pytest.FixtureRequest, server: DataManagerServer) -> Iterator[DataManager]:
    access = DataManagerAccess(endpoint=server.url(request.param), transport=request.param, timeout_seconds=10)
    client = DataManager(access, retrying=Retrying(wait=wait_none()))
    yield client
    client.close()


def run(
    seed: int, server: DataManagerServer, client: DataManager, list_type: type[KilledList] = KilledList
) -> list[str]:
    """Run a schedule; return what was wrong whenever all was settled, and at the end."""
    chance = random.Random(seed)
    lifespan = LIFESPANS[seed % len(LIFESPANS)]
    model = server.model = DataManagerModel(chance, is_faulty=True, slowest=SLOWEST)
    is_found = seed % 3 > 0
    if is_found:  # else it is made under way
        kept = model.add_list(CODE, membership_duration=timedelta(days=540))
        # What somebody else put on the list stays there.
        kept.members[FOREIGN] = START + timedelta(days=10**5)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    limits = ListLimits(3, settles_after=SLOWEST * MINUTE, answers_for=30 * MINUTE, lifespan=lifespan)
    shop = Shop(chance)
    ledger = PushLedger(engine, "google", "buyers")
    ledger.prepare()
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
            model.bad = {tuple(_hashed(each)) for each in ADDRESSES if chance.random() < 0.05}
        else:
            model.is_faulty, engine.kill, model.bad = False, 0.0, set()
        user_list = CustomerMatchList(
            client, Account(model.account), None, code=CODE, name="buyers", keeps_for=timedelta(days=540)
        )
        audience = list_type(user_list, limits)
        audience.chance, audience.kill = chance, 0.04 if model.is_faulty else 0.0
        planned: PlannedCounts | None = None
        with suppress(KilledError):
            want(engine, shop.identifiers())
            planned = ListPush(ledger, audience, lambda: model.now).push(f"p{step}", normalisation="n1").planned
        if planned is not None and planned.is_settled and not planned.of("refused"):
            wrong += differences(model, shop, f"seed {seed}, settled at step {step}", is_found=is_found)
        for _ in range(A_DAY if step == FAULTY else 1):
            tick(model, lifespan)
    engine.close()
    assert model.accepted, "nothing was ever accepted"
    return wrong + differences(model, shop, f"seed {seed}, at the end", is_found=is_found)


def tick(model: DataManagerModel, lifespan: timedelta) -> None:
    """Let a minute pass; members are forgotten at the end of their lifespan."""
    model.now += MINUTE
    model.settle(model.now)
    for each in model.lists.values():
        each.members = {key: at for key, at in each.members.items() if model.now - at < lifespan}


def differences(model: DataManagerModel, shop: Shop, when: str, *, is_found: bool) -> list[str]:
    wanted = {tuple(_hashed(each)) for each in shop.identifiers()} | ({FOREIGN} if is_found else set())
    listed = model.members(CODE)
    lists = f", {len(model.lists)} lists" if len(model.lists) > 1 else ""
    if listed == wanted and not lists:
        return []
    return [f"{when}: {len(listed - wanted)} too many, {len(wanted - listed)} missing{lists}"]


def test_after_any_faults_of_google_the_list_is_what_is_wanted(server: DataManagerServer, client: DataManager) -> None:
    for seed in range(number_of_schedules(SCHEDULES)):
        assert run(seed, server, client) == []


@pytest.mark.long
@pytest.mark.parametrize("block", range(4))
def test_after_any_faults_of_many_schedules_the_list_is_what_is_wanted(
    block: int, server: DataManagerServer, client: DataManager
) -> None:
    size = MANY // 4
    for seed in range(1_000 + block * size, 1_000 + (block + 1) * size):
        assert run(seed, server, client) == []


class LostAnswersAreGood(KilledList):
    """Wrong: what was not answered is taken for done."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        try:
            return super().send(operation, identifiers)
        except UnsureError:
            return Answer("success", "r")


class AcceptedIsDone(KilledList):
    """Wrong: what was accepted is taken for done."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        answer = super().send(operation, identifiers)
        return Answer("success", answer.request_id) if answer.state in ("accepted", "unknown") else answer


class PartialIsSuccess(KilledList):
    """Wrong: what was taken in part is taken for done."""

    def ask(self, request_id: str) -> Answer:
        answer = super().ask(request_id)
        return Answer("success", request_id) if answer.state == "partial" else answer


@pytest.mark.parametrize(("wrong", "first"), [(LostAnswersAreGood, 0), (AcceptedIsDone, 0), (PartialIsSuccess, 20)])
def test_a_list_that_is_known_to_be_wrong_is_found_out(
    wrong: type[KilledList], first: int, server: DataManagerServer, client: DataManager
) -> None:
    assert any(run(seed, server, client, wrong) for seed in range(first, first + 20))
