"""Random faults over real HTTP: through the webhook, the engine of a push leaves the list that is wanted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import SecretStr

from activation.slow_list import KilledError
from activation.test_fault_schedules import ADDRESSES, KilledEngine, Shop, number_of_schedules, want
from activation.webhook_server import MINUTE, SECRET, SLOWEST, AudienceService, serving
from microconv.activation.destinations.payloads import payload
from microconv.activation.destinations.webhook import Signing, WebhookList
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, Operation, UnsureError
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import PlannedCounts, PushLedger
from microconv.clients.outgoing import Outgoing
from microconv.engines.duckdb import IN_MEMORY

SCHEDULES, MANY = 9, 100
"""In a usual run, and in `make test-long`."""
FAULTY, QUIET = 16, 10
LIFESPANS = (None, 25 * MINUTE, timedelta(days=540))
A_DAY = 24 * 60 + 1
FOREIGN = Identifier("email", "somebody-elses@shop.example")


class KilledList(WebhookList):
    """The webhook in a process that may end before or after each request."""

    chance = random.Random(0)
    kill = 0.0

    def send(self, operation: Operation, identifiers: list[Identifier]) -> Answer:  # type: ignore[override]  # of the ledger
        self._maybe()
        answer = super().send(operation, identifiers)
        self._maybe()
        return answer

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


class Server:
    """One server for all schedules: a service is put behind it for each."""

    def __init__(self) -> None:
        self.service = AudienceService()

    def __getattr__(self, name: str) -> object:
        return getattr(self.service, name)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, str]]:
    server = Server()
    with serving(server) as address:  # type: ignore[arg-type]  # it stands for the service
        yield server, address


def run(seed: int, server: Server, address: str, list_type: type[KilledList] = KilledList) -> list[str]:
    """Run a schedule; return what was wrong whenever all was settled, and at the end."""
    chance = random.Random(seed)
    lifespan = LIFESPANS[seed % len(LIFESPANS)]
    service = server.service = AudienceService(chance, lifespan, is_faulty=True)
    # What somebody else put on the list stays there.
    service.listed[FOREIGN] = 10**9
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    limits = ListLimits(3, settles_after=SLOWEST * MINUTE, answers_for=30 * MINUTE, lifespan=lifespan)
    shop = Shop(chance)
    ledger = PushLedger(engine, "crm", "buyers")
    ledger.prepare()
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
            service.bad = {each for each in ADDRESSES if chance.random() < 0.05}
        else:
            service.is_faulty, engine.kill, service.bad = False, 0.0, set()
        values = {"segment": "buyers", "push_id": f"p{step}", "list": "", "property": ""}
        audience = list_type(
            address,
            payload("microconv"),
            values,
            Signing(SecretStr(SECRET)),
            None,
            limits=limits,
            outgoing=Outgoing(5.0),
        )
        audience.chance, audience.kill = chance, 0.04 if service.is_faulty else 0.0
        planned: PlannedCounts | None = None
        with suppress(KilledError):
            want(engine, shop.identifiers())
            planned = ListPush(ledger, audience, lambda: service.now).push(f"p{step}", normalisation="n1").planned
        if planned is not None and planned.is_settled and not planned.of("refused"):
            wrong += differences(service, shop, f"seed {seed}, settled at step {step}")
        for _ in range(A_DAY if step == FAULTY else 1):
            service.tick()
    engine.close()
    return wrong + differences(service, shop, f"seed {seed}, at the end")


def differences(service: AudienceService, shop: Shop, when: str) -> list[str]:
    listed, wanted = set(service.listed), {*shop.identifiers(), FOREIGN}
    return [f"{when}: {len(listed - wanted)} too many, {len(wanted - listed)} missing"] if listed != wanted else []


def test_after_any_faults_of_the_network_the_list_is_what_is_wanted(server: tuple[Server, str]) -> None:
    for seed in range(number_of_schedules(SCHEDULES)):
        assert run(seed, *server) == []


@pytest.mark.long
def test_after_any_faults_of_many_schedules_of_the_network_the_list_is_what_is_wanted(
    server: tuple[Server, str],
) -> None:
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert run(seed, *server) == []


def test_requests_with_other_contents_have_other_names(server: tuple[Server, str]) -> None:
    there, address = server
    assert run(7, there, address) == []
    named: dict[str, object] = {}
    for headers, document in there.service.requests:
        assert named.setdefault(headers["idempotency-key"], document) == document
    assert len(named) > 1


class LostAnswersAreGood(KilledList):
    """Wrong: what was not answered is taken for done."""

    def send(self, operation: Operation, identifiers: list[Identifier]) -> Answer:  # type: ignore[override]  # as above
        try:
            return super().send(operation, identifiers)
        except UnsureError:
            return Answer("success", "r")


class AcceptedIsDone(KilledList):
    """Wrong: what was accepted is taken for done."""

    def send(self, operation: Operation, identifiers: list[Identifier]) -> Answer:  # type: ignore[override]  # as above
        answer = super().send(operation, identifiers)
        return Answer("success", answer.request_id) if answer.state in ("accepted", "unknown") else answer


@pytest.mark.parametrize("wrong", [LostAnswersAreGood, AcceptedIsDone])
def test_a_webhook_that_is_known_to_be_wrong_is_found_out(wrong: type[KilledList], server: tuple[Server, str]) -> None:
    assert any(run(seed, *server, wrong) for seed in range(60))
