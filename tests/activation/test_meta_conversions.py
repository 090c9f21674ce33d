"""Conversions for Meta: what an event holds, what is refused before it leaves, and what each answer means."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import ga4
from activation.killed_engine import KilledEngine
from activation.slow_list import START, KilledError
from activation.test_conversion_schedules import Shop, load
from activation.test_conversions import DAY, SECTIONS, bought
from activation.test_conversions import Shop as RealShop
from activation.test_fault_schedules import number_of_schedules
from meta_server import (
    ACCOUNT,
    APP_SECRET,
    DATASET,
    HTML,
    MINUTE,
    TOKEN,
    MetaModel,
    MetaServer,
    Told,
    error,
    serving,
)
from microconv import catalogue
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.conversions.conversion_destination import Conversion, ConversionOperation
from microconv.activation.conversions.conversion_ledger import ConversionLedger, ConversionList
from microconv.activation.conversions.converters import PEOPLE, Who
from microconv.activation.destinations.meta import MetaDestination
from microconv.activation.destinations.meta_conversions import MetaConversions
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.config.destination_settings import DestinationConfig
from microconv.engines.duckdb import IN_MEMORY
from microconv.errors import ConfigError, UsageError
from projects import write_config

SCHEDULES = 5
"""In a usual run; `make test-long` runs many more."""
MANY = 100
FAULTY, QUIET = 11, 6
RECOGNISES, SETTLES = 12 * MINUTE, 2 * MINUTE
A_DAY = 24 * 60 + 1
EMAIL, PHONE, USER = (Identifier(kind, sha256_hex(f"{kind} of anna")) for kind in ("email", "phone", "user_id"))


@pytest.fixture(scope="module")
def shared() -> Iterator[MetaServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: MetaServer, monkeypatch: pytest.MonkeyPatch) -> MetaServer:
    monkeypatch.setenv("META_TOKEN", TOKEN)
    monkeypatch.setenv("META_SECRET", APP_SECRET)
    shared.model, shared.addresses = MetaModel(), []
    return shared


def at(server: MetaServer, **keys: Any) -> MetaDestination:
    given: dict[str, Any] = {
        "name": "meta",
        "kind": "meta",
        "ad_account": ACCOUNT,
        "access_token": {"env": "META_TOKEN"},
        "app_secret": {"env": "META_SECRET"},
        "dataset": DATASET,
        "endpoint": server.address,
        "timeout": "5s",
    }
    made = catalogue.destination(DestinationConfig(**{**given, **keys}), Path("/nowhere/microconv.toml"))
    assert isinstance(made, MetaDestination)
    made.clock = server.model.timestamp
    return made


def leads(server: MetaServer, action: str = "Lead", **keys: Any) -> MetaConversions:
    return at(server, **keys).conversions(action)


def conversion(
    server: MetaServer, order_id: str = "o1", *, ago: timedelta = timedelta(hours=1), **changed: Any
) -> Conversion:
    occurred_at: datetime = server.model.now - ago
    given: dict[str, Any] = {
        "order_id": order_id,
        "occurred_at": occurred_at,
        "said_at": server.model.now,
        "value_micros": 12_340_000,
        "currency": "EUR",
        "clicks": {"fbclid": "IwAR1"},
        "clicked_at": occurred_at - timedelta(minutes=5),
        "identifiers": (EMAIL, PHONE),
    }
    return Conversion(**{**given, **changed})


def test_an_event_says_who_what_when_and_how_much(server: MetaServer) -> None:
    one = conversion(server)
    assert leads(server).send("send", [one]) == Answer("success", "AbC")
    (event,) = server.model.events.values()
    assert one.clicked_at is not None
    assert event == {
        "event_name": "Lead",
        "event_id": "o1",
        "event_time": int(one.occurred_at.timestamp()),
        "action_source": "system_generated",
        "user_data": {
            "em": [EMAIL.value],
            "ph": [PHONE.value],
            "fbc": f"fb.1.{int(one.clicked_at.timestamp())}000.IwAR1",
        },
        "custom_data": {"order_id": "o1", "value": 12.34, "currency": "EUR"},
    }
    assert not any(EMAIL.value in line or TOKEN in line for line in server.addresses)


def test_a_repeated_order_is_one_conversion(server: MetaServer) -> None:
    server.model.after = [Told(hangs_up=True)]
    with pytest.raises(UnsureError):
        leads(server).send("send", [conversion(server)])
    leads(server).send("send", [conversion(server), conversion(server, "o2")])
    assert set(server.model.events) == {("Lead", "o1"), ("Lead", "o2")}
    assert leads(server).rules.recognises_for == timedelta(hours=48)


def test_user_ids_are_sent_only_where_that_was_said(server: MetaServer) -> None:
    leads(server).send("send", [conversion(server, identifiers=(EMAIL, USER))])
    leads(server, external_id=True).send("send", [conversion(server, "o2", identifiers=(USER,))])
    first, second = (each["user_data"] for each in server.model.events.values())
    assert "external_id" not in first
    assert second["external_id"] == [USER.value]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ago": timedelta(days=7)}, "older than Meta takes"),
        ({"ago": timedelta(minutes=-1)}, "in the future"),
        ({"clicks": {}, "identifiers": ()}, "neither a click id nor a hashed identifier"),
        ({"clicks": {"gclid": "x"}, "identifiers": (Identifier("email", sha256_hex("")),)}, "neither a click id"),
        ({"value_micros": None}, "a Purchase needs a value"),
    ],
)
def test_one_that_would_make_meta_refuse_all_is_named_before(
    changed: dict[str, Any], reason: str, server: MetaServer
) -> None:
    with pytest.raises(RefusedError, match=reason) as caught:
        leads(server, "Purchase").send("send", [conversion(server), conversion(server, "o2", **changed)])
    assert caught.value.rows == (1,)
    assert server.model.requests == []


def test_what_happened_in_a_shop_may_be_older(server: MetaServer) -> None:
    at_shop = leads(server, action_source="physical_store")
    at_shop.send("send", [conversion(server, ago=timedelta(days=61))])
    assert [each["action_source"] for each in server.model.events.values()] == ["physical_store"]
    assert at_shop.rules.max_age == timedelta(days=62)


def test_a_conversion_without_a_value_has_none(server: MetaServer) -> None:
    leads(server).send("send", [conversion(server, value_micros=None, currency=None)])
    (event,) = server.model.events.values()
    assert event["custom_data"] == {"order_id": "o1"}


@pytest.mark.parametrize(
    ("told", "raised"),
    [
        (Told(hangs_up=True), UnsureError),
        (HTML, UnsureError),
        (Told(document={"messages": []}), UnsureError),
        (error(2, status=500), UnsureError),
        (error(80004), TryLaterError),
        (error(190), RefusedError),
    ],
)
def test_what_was_not_taken(told: Told, raised: type[Exception], server: MetaServer) -> None:
    server.model.scripted = [lambda: told]
    with pytest.raises(raised):
        leads(server).send("send", [conversion(server)])
    assert not server.model.events


def test_a_refusal_that_names_no_event_is_said_again_in_halves(server: MetaServer) -> None:
    server.model.scripted = [lambda: error(100, 2804003)]
    with pytest.raises(RefusedError) as caught:
        leads(server).send("send", [conversion(server)])
    assert caught.value.rows is None
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(("received", "state", "rejected"), [(1, "partial", 1), (0, "failed", 2), (2, "success", None)])
def test_events_that_were_not_received_are_counted(
    received: int, state: str, rejected: int | None, server: MetaServer
) -> None:
    server.model.after = [Told(document={"events_received": received, "fbtrace_id": "<script>"})]
    answer = leads(server).send("send", [conversion(server), conversion(server, "o2")])
    assert (answer.state, answer.rejected, answer.request_id) == (state, rejected, None)


def test_nothing_is_taken_back_or_tried(server: MetaServer) -> None:
    at_meta = leads(server)
    assert (at_meta.rules.adjustments.retracts, at_meta.rules.adjustments.restates) == (None, False)
    for operation in ("retract", "restate"):
        with pytest.raises(RefusedError, match="takes no conversion back"):
            at_meta.send(operation, [conversion(server)])  # type: ignore[arg-type]  # of the two
    at_meta.validate([conversion(server)])
    assert server.model.requests == []


@pytest.mark.parametrize("action", ["", "1st", "a\nb", "x" * 51, "Lead<"])
def test_names_that_no_event_can_have(action: str, server: MetaServer) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an event"):
        leads(server, action)


def test_conversions_need_a_dataset(server: MetaServer) -> None:
    with pytest.raises(UsageError, match="which dataset"):
        leads(server, dataset=None)
    with pytest.raises(ConfigError, match="not the number of a dataset"):
        at(server, dataset="my pixel")


def test_the_doctor_looks_at_the_dataset(server: MetaServer) -> None:
    (found,) = at(server).examine_conversions(["Lead"])
    assert found.message == f"The dataset {DATASET} is there for conversions."
    assert [each.severity for each in at(server, dataset="99").examine_conversions(["Lead"])] == ["error"]
    assert {method for method, _, _ in server.model.requests} == {"GET"}


# By the command

OF_META = """
name = "ads"
kind = "meta"
ad_account = "act_1234567890"
access_token = { env = "META_TOKEN" }
app_secret = { env = "META_SECRET" }
dataset = "5550001112"
"""


class MetaShop(RealShop):
    """The shop of all conversions, whose orders go to Meta."""

    def configure(self) -> None:
        address = self.server.address  # type: ignore[attr-defined]  # Meta's
        _, _, rest = SECTIONS.partition("[[destinations]]")
        of_meta = (
            f'[[destinations]]{OF_META}endpoint = "{address}"\n\n[[conversions]]{rest.partition("[[conversions]]")[2]}'
        )
        filled = of_meta.replace("{keys}", "").replace("{of_push}", "").replace('"777"', '"Purchase"')
        write_config(self.folder, extra='[taxonomy]\nfile = "taxonomy.toml"\n\n' + filled)


def test_orders_reach_meta_once_and_only_of_those_who_agreed(tmp_path: Path, server: MetaServer) -> None:
    model = server.model
    model.minute = (datetime.now(tz=UTC) - START) // MINUTE + 1
    shop = MetaShop(tmp_path, server)  # type: ignore[arg-type]  # it asks for its address alone
    ad = {"page_location": "https://shop.example/?fbclid=IwAR1"}
    click = ga4.event(f"{DAY} 09:00:00", "page_view", params=ad, client="1.1", session=1, user_id="u1")
    shop.stage([click, bought(1)[1]], *(bought(number) for number in (2, 3, 4)))
    shop.agree(1, 2, denied=(3,))
    assert shop.send("--dry-run")["new"] == 2
    assert {method for method, _, _ in model.requests} == {"GET"}
    assert shop.send()["new"] == 2
    assert {order for _, order in model.events} == {"T1", "T2"}
    first, second = (model.events["Purchase", order] for order in ("T1", "T2"))
    assert first["user_data"]["em"] == [sha256_hex("user1@shop.example")]
    assert first["user_data"]["fbc"].endswith("000.IwAR1")
    assert "fbc" not in second["user_data"]
    assert first["custom_data"] == {"order_id": "T1", "value": 10.0, "currency": "EUR"}
    assert shop.send()["new"] == 0
    assert len(model.counted) == 2


# After any faults


class KilledConversions(MetaConversions):
    """The events in a process that may end before or after each request."""

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


class LostAnswersAreGood(KilledConversions):
    """Wrong: what was not answered is taken for done."""

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        try:
            return super().send(operation, conversions)
        except UnsureError:
            return Answer("success")


def run(
    seed: int,
    server: MetaServer,
    events_type: type[KilledConversions] = KilledConversions,
    recognises: timedelta | None = RECOGNISES,
) -> list[str]:
    """Run a schedule; return what was wrong at its end."""
    chance = random.Random(seed)
    model = server.model = MetaModel(chance, is_faulty=True, recognises=RECOGNISES)
    events = leads(server)
    events.__class__ = events_type
    assert isinstance(events, events_type)
    events.rules = replace(events.rules, recognises_for=recognises)
    events.limits = ListLimits(3, settles_after=SETTLES, answers_for=SETTLES)
    engine = KilledEngine(IN_MEMORY, threads=1)
    engine.chance, engine.kill = chance, 0.03
    events.chance, events.kill = chance, 0.03
    shop = Shop(chance)
    ledger = ConversionLedger(engine, "meta", "leads", events.rules, margin=timedelta(0))
    ledger.prepare()
    who = Who({"fbclid": "IwAR1"}, int(START.timestamp()) * 1_000_000, (EMAIL,)).text
    wrong: list[str] = []
    for step in range(FAULTY + QUIET):
        if step < FAULTY:
            shop.change()
        else:
            shop.settle()
            model.is_faulty, engine.kill, events.kill = False, 0.0, 0.0
        load(engine, shop)
        engine._connection.execute(f"UPDATE {PEOPLE} SET who = ? WHERE who IS NOT NULL", [who])
        refused = {name for name, order in shop.orders.items() if not order.agrees}
        before = len(model.requests)
        with suppress(KilledError):
            ListPush(ledger, ConversionList(events), lambda: model.now).push(f"p{step}", normalisation="n1")
        sent = {each["event_id"] for _, _, said in model.requests[before:] for each in said.get("data", ())}
        wrong += [f"{each} was sent without consent" for each in sent & refused]
        model.tick(A_DAY if step == FAULTY else 1)
    query = "SELECT order_id FROM conversion_changes WHERE verdict = 'lost'"
    lost = {name for (name,) in engine._connection.execute(query).fetchall()}
    engine.close()
    return [f"seed {seed}: {each}" for each in (*wrong, *differences(model, shop, lost))]


def differences(model: MetaModel, shop: Shop, lost: set[str]) -> Iterator[str]:
    counted = [order for _, (_, order) in model.counted]
    yield from (f"{each} counts twice" for each in set(counted) if counted.count(each) > 1)
    yield from (f"{each} never happened" for each in set(counted) - shop.orders.keys())
    for name, order in shop.orders.items():
        # Where nobody knows whether Meta has it, and it would not know it again, one missing is better than two.
        if order.is_wanted and name not in counted and name not in lost:
            yield f"{name} is missing"


def test_after_any_faults_meta_counts_each_order_once(server: MetaServer) -> None:
    for seed in range(number_of_schedules(SCHEDULES)):
        assert run(seed, server) == []


@pytest.mark.long
def test_after_any_faults_of_many_schedules_meta_counts_each_order_once(server: MetaServer) -> None:
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert run(seed, server) == []


def test_answers_that_were_lost_are_not_good(server: MetaServer) -> None:
    assert any("is missing" in each for seed in range(40) for each in run(seed, server, LostAnswersAreGood))


def test_nothing_is_said_again_that_meta_would_not_know_again(server: MetaServer) -> None:
    assert any("counts twice" in each for seed in range(40) for each in run(seed, server, recognises=None))
