"""Conversions of Google Ads over gRPC and REST: what an event is, what answers mean, and random faults."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.ads import datamanager_v1 as api
from tenacity import Retrying, wait_none

from activation.killed_engine import KilledEngine
from activation.slow_list import KilledError
from activation.test_conversion_schedules import Shop, load
from activation.test_fault_schedules import number_of_schedules
from data_manager_server import MINUTE, SLOWEST, DataManagerModel, DataManagerServer, Refuse, serving
from microconv import catalogue
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.conversions.conversion_destination import Conversion, ConversionOperation
from microconv.activation.conversions.conversion_ledger import ConversionLedger, ConversionList
from microconv.activation.destinations.google_conversions import RULES, GoogleConversions, event_of
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, RefusedError, UnsureError
from microconv.activation.push.list_push import ListPush
from microconv.clients.data_manager import Account, DataManager, DataManagerAccess, Receiver
from microconv.config.destination_settings import DestinationConfig
from microconv.engines.duckdb import IN_MEMORY
from microconv.errors import UsageError

SCHEDULES = 5
"""In a usual run, by gRPC and by REST each; `make test-long` runs many more."""
MANY = 120
FAULTY, QUIET = 11, 8
A_DAY = 24 * 60 + 1
ACTION = Receiver(Account("1234567890"), "777")
LIMITS = ListLimits(3, settles_after=SLOWEST * MINUTE, answers_for=30 * MINUTE)
ANNA = Identifier("email", sha256_hex("anna@shop.example"))
BEN = Identifier("phone", sha256_hex("+491701234567"))
LEAD = Conversion(
    "T-1",
    datetime(2026, 1, 1, 10, 0, 0, 250_000, tzinfo=UTC),
    datetime(2026, 1, 2, tzinfo=UTC),
    value_micros=12_500_000,
    currency="EUR",
    clicks={"gclid": "Cj0", "wbraid": "W1"},
    identifiers=(ANNA, BEN),
)


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


@pytest.fixture
def leads(server: DataManagerServer, client: DataManager) -> GoogleConversions:
    server.model = DataManagerModel()
    return GoogleConversions(client, ACTION, LIMITS)


def test_an_event_has_what_google_asks_for():
    assert event_of(LEAD) == {
        "transactionId": "T-1",
        "eventTimestamp": "2026-01-01T10:00:00.250000Z",
        "lastUpdatedTimestamp": "2026-01-02T00:00:00Z",
        "eventSource": "WEB",
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
        "adIdentifiers": {"gclid": "Cj0"},
        "userData": {"userIdentifiers": [{"emailAddress": ANNA.value}, {"phoneNumber": BEN.value}]},
        "conversionValue": 12.5,
        "currency": "EUR",
    }


def test_an_event_without_value_or_click_has_neither():
    event = event_of(Conversion("T-2", LEAD.occurred_at, LEAD.said_at, identifiers=(ANNA,)))
    assert not {"conversionValue", "currency", "adIdentifiers"} & event.keys()


def test_what_is_retracted_is_worth_nothing():
    event = event_of(Conversion("T-2", LEAD.occurred_at, LEAD.said_at, 0, "EUR", {"gclid": "Cj0"}))
    assert event["conversionValue"] == 0


def test_a_conversion_arrives_as_it_was_sent(leads: GoogleConversions, server: DataManagerServer):
    answer = leads.send("send", [LEAD])
    assert answer.state == "accepted"
    assert leads.ask(str(answer.request_id)).state == "success"
    (sent,) = server.model.events
    assert sent.receiver.product_destination_id == "777"
    assert sent.event.transaction_id == "T-1"
    assert sent.event.conversion_value == 12.5
    assert sent.event.event_timestamp.timestamp() == LEAD.occurred_at.timestamp()
    assert sent.event.ad_identifiers.gclid == "Cj0"
    assert [each.email_address for each in sent.event.user_data.user_identifiers if each.email_address] == [ANNA.value]


def test_an_order_that_google_has_already_is_there(leads: GoogleConversions, server: DataManagerServer):
    leads.send("send", [LEAD])
    again = leads.send("send", [LEAD])
    assert leads.ask(str(again.request_id)).state == "success"
    assert len(server.model.events) == 1


@pytest.mark.parametrize(
    ("state", "reasons", "became"),
    [
        ("FAILED", {"DUPLICATE_TRANSACTION_ID": 3}, "success"),
        ("FAILED", {"DUPLICATE_TRANSACTION_ID": 2}, "failed"),
        ("FAILED", {"DUPLICATE_TRANSACTION_ID": 2, "INVALID_FORMAT": 1}, "failed"),
        ("FAILED", {}, "failed"),
        ("PARTIAL_SUCCESS", {"DUPLICATE_TRANSACTION_ID": 2}, "success"),
        ("PARTIAL_SUCCESS", {"DUPLICATE_TRANSACTION_ID": 1, "INVALID_FORMAT": 1}, "partial"),
        ("PARTIAL_SUCCESS", {}, "partial"),
    ],
)
def test_what_google_rejects_is_there_only_where_all_of_it_was_there_already(
    leads: GoogleConversions, server: DataManagerServer, state: str, reasons: dict[str, int], became: str
):
    answer = leads.send("send", [LEAD])
    accepted = server.model.accepted[str(answer.request_id)]
    said = api.RequestStatusPerDestination(
        destination=api.Destination(product_destination_id="777"),
        request_status=state,
        events_ingestion_status={"record_count": 3},
        error_info={
            "error_counts": [
                {"record_count": count, "reason": f"PROCESSING_ERROR_REASON_{name}"} for name, count in reasons.items()
            ]
        },
    )
    accepted.statuses = [said]
    assert leads.ask(str(answer.request_id)).state == became


def test_a_restatement_changes_the_value_and_counts_nothing(leads: GoogleConversions, server: DataManagerServer):
    leads.send("send", [LEAD])
    leads.send("restate", [Conversion("T-1", LEAD.occurred_at, LEAD.said_at, 1_000_000, "EUR", LEAD.clicks)])
    assert len(server.model.events) == 1
    assert server.model.conversions["777", "T-1"].conversion_value == 1


def test_a_dry_run_lets_google_check_and_changes_nothing(leads: GoogleConversions, server: DataManagerServer):
    answer = leads.validate([LEAD])
    assert answer is not None
    assert answer.state == "success"
    assert not server.model.events
    assert not server.model.accepted


def test_a_row_that_is_refused_is_named(leads: GoogleConversions):
    wrong = Conversion("T-2", LEAD.occurred_at, LEAD.said_at, identifiers=(Identifier("email", "no hash"),))
    with pytest.raises(RefusedError) as refused:
        leads.send("send", [LEAD, wrong])
    assert refused.value.rows == (1,)
    assert "no hash" not in str(refused.value)


def test_an_action_that_is_not_one_is_told(leads: GoogleConversions, server: DataManagerServer):
    server.model.faults.append(Refuse(400, "INVALID_CONVERSION_ACTION_ID"))
    with pytest.raises(RefusedError, match="INVALID_CONVERSION_ACTION_ID"):
        leads.send("send", [LEAD])


def test_what_google_does_not_say_is_unsure(leads: GoogleConversions, server: DataManagerServer):
    server.model.faults.extend([Refuse(403, "PERMISSION_DENIED")] * 9)
    with pytest.raises(UnsureError):
        leads.ask("req-0")


def test_the_action_of_a_conversion_is_a_number():
    keys = {"kind": "google_ads", "customer_id": "1234567890", "accepts_customer_match_terms": True}
    ads = catalogue.destination(DestinationConfig(name="ads", **keys), Path("/nowhere/microconv.toml"))
    assert ads.conversions("777").rules is RULES
    with pytest.raises(UsageError, match="not the number of a conversion action"):
        ads.conversions("leads")


# Random faults


class KilledConversions(GoogleConversions):
    """The action in a process that may end before or after each request."""

    chance = random.Random(0)
    kill = 0.0

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        self._maybe()
        answer = super().send(operation, conversions)
        self._maybe()
        return answer

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


def run(seed: int, server: DataManagerServer, client: DataManager) -> list[str]:
    """Run a schedule; return what was wrong at its end."""
    chance = random.Random(seed)
    model = server.model = DataManagerModel(chance, is_faulty=True, slowest=SLOWEST)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    action = KilledConversions(client, ACTION, LIMITS)
    action.chance, action.kill = chance, 0.03
    shop = Shop(chance)
    ledger = ConversionLedger(engine, "google", "leads", RULES, margin=timedelta(0))
    ledger.prepare()
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
        else:
            shop.settle()
            model.is_faulty, engine.kill, action.kill = False, 0.0, 0.0
        load(engine, shop)
        refused = {name for name, order in shop.orders.items() if not order.agrees}
        before = len(model.requests)
        with suppress(KilledError):
            push = ListPush(ledger, ConversionList(action), lambda: model.now)
            push.push(f"p{step}", normalisation="n1")
        sent = {each.transaction_id for one in model.requests[before:] for each in getattr(one, "events", ())}
        wrong += [f"{each} was sent without consent" for each in sent & refused]
        model.tick()
        if step == FAULTY:  # what was refused by name waits a day
            model.tick(SLOWEST)
            model.now += timedelta(minutes=A_DAY)
    engine.close()
    return [f"seed {seed}: {each}" for each in (*wrong, *differences(model, shop))]


def differences(model: DataManagerModel, shop: Shop) -> Iterator[str]:
    there = {order: event.conversion_value for (_, order), event in model.conversions.items()}
    counted = [each.event.transaction_id for each in model.events]
    yield from (f"{each} counts twice" for each in set(counted) if counted.count(each) > 1)
    yield from (f"{each} never happened" for each in there.keys() - shop.orders.keys())
    for name, order in shop.orders.items():
        if not order.agrees:  # nothing more is said of them
            continue
        if order.is_wanted and there.get(name) != order.micros / 1_000_000:
            yield f"{name} is worth {there.get(name)}, not {order.micros / 1_000_000}"
        if not order.is_wanted and there.get(name):
            yield f"{name} is still worth {there[name]}"


def test_after_any_faults_google_counts_each_order_once_at_its_value(server: DataManagerServer, client: DataManager):
    for seed in range(number_of_schedules(SCHEDULES)):
        assert run(seed, server, client) == []


@pytest.mark.long
def test_after_any_faults_of_many_schedules_google_counts_each_order_once(
    server: DataManagerServer, client: DataManager
):
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert run(seed, server, client) == []
