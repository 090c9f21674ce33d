"""GA4 as a destination: which devices it is told of, by which user property, and what nobody confirms."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ga4_server import FAULTY_MINUTES, SECRET, SLOWEST, STREAM, Stream, serving
from google.analytics import admin_v1alpha as api

from activation.test_fault_schedules import number_of_schedules
from analytics_property_server import PROPERTY, PropertyModel, PropertyServer
from analytics_server import Refuse as AnotherRefuse
from data_manager_server import MINUTE, START, DataManagerModel, DataManagerServer, Fail, HangUp, Refuse
from data_manager_server import serving as data_manager
from microconv import catalogue
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.ga4 import Ga4Destination, Ga4Settings
from microconv.activation.destinations.ga4_lists import OUT, EventList, ProtocolList
from microconv.activation.push.audience_list import Identifier, RefusedError, TryLaterError, UnsureError
from microconv.activation.push.identifiers import DEVICE, SignedInDevice
from microconv.config.destination_settings import DestinationConfig
from microconv.errors import ConfigError, UsageError
from microconv.testing import DestinationContract
from microconv.testing.fault_schedule import wrong_lists

KEYS: dict[str, Any] = {
    "kind": "ga4",
    "ga4_property": "123456789",
    "stream": STREAM,
    "via": "measurement_protocol",
    "api_secret": {"env": "GA4_SECRET"},
    "timeout": "5s",
}


MANY = 120
"""Schedules of faults by each way, in `make test-long`."""


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GA4_SECRET", SECRET)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def address(stream: Stream) -> Iterator[str]:
    with serving(stream) as address:
        yield address


def device(number: int) -> Identifier:
    return Identifier(DEVICE, SignedInDevice(f"{number}.{number}", f"u{number}").identifier)


def ga4(address: str | None = None, **keys: Any) -> Ga4Destination:
    return Ga4Destination(Ga4Settings.model_validate({**KEYS, "name": "ga4", "endpoint": address, **keys}))


def protocol_list(address: str, segment: str = "carts", **keys: Any) -> ProtocolList:
    made = ga4(address, **keys).audience_list(segment, "p1")
    assert isinstance(made, ProtocolList)
    return made


# What is sent


def test_device_gets_the_segment_as_user_property_and_its_user(stream: Stream, address: str) -> None:
    answer = protocol_list(address).send("add", [device(1)])
    ((sent),) = stream.requests
    at = sent.pop("timestamp_micros")
    assert at > 1_700_000_000_000_000
    assert sent == {
        "client_id": "1.1",
        "user_id": "u1",
        "consent": {"ad_user_data": "GRANTED", "ad_personalization": "GRANTED"},
        "user_properties": {"mc_carts": {"value": "carts"}},
        "events": [{"name": "microconv_segment", "params": {}}],
    }
    assert answer.state == "unknown"
    assert answer.reason is not None
    assert answer.reason.startswith("sent, unconfirmed")


def test_who_leaves_gets_another_value_and_no_word_of_consent(stream: Stream, address: str) -> None:
    protocol_list(address).send("remove", [device(1)])
    (sent,) = stream.requests
    assert sent["user_properties"] == {"mc_carts": {"value": OUT}}
    assert "consent" not in sent


def test_each_device_is_a_request(stream: Stream, address: str) -> None:
    protocol_list(address).send("add", [device(number) for number in range(5)])
    assert [each["client_id"] for each in stream.requests] == [f"{number}.{number}" for number in range(5)]


def test_devices_of_apps_are_named_as_such(stream: Stream, address: str) -> None:
    stream.stream = "1:1234567890:ios:321abc456def7890"
    protocol_list(address, stream=stream.stream).send("add", [device(1)])
    assert stream.requests[0]["app_instance_id"] == "1.1"
    assert "client_id" not in stream.requests[0]
    assert stream.waiting


def test_request_of_another_secret_vanishes_without_a_word(
    stream: Stream, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GA4_SECRET", "another")
    assert protocol_list(address).send("add", [device(1)]).state == "unknown"
    assert not stream.waiting


def test_secret_is_in_no_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        protocol_list(address).send("add", [device(1)])
    assert "/mp/collect" in caplog.text
    assert SECRET not in caplog.text


# What an answer means


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        ([429], TryLaterError),
        ([503], TryLaterError),
        ([404], RefusedError),
        ([302], RefusedError),
        ([500], UnsureError),
        ([0], UnsureError),
        ([1], UnsureError),
        # Some were taken before.
        ([204, 429], UnsureError),
        ([204, 404], UnsureError),
        ([204, 0], UnsureError),
    ],
)
def test_what_was_not_taken(stream: Stream, address: str, statuses: list[int], error: type[Exception]) -> None:
    stream.scripted = statuses
    with pytest.raises(error):
        protocol_list(address).send("add", [device(1), device(2)])


def test_nothing_was_sent_without_a_connection() -> None:
    with pytest.raises(TryLaterError):
        protocol_list("http://127.0.0.1:9").send("add", [device(1)])


# The Data Manager API


@pytest.fixture(params=["grpc", "rest"])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[DataManagerServer, str]]:
    with data_manager() as server:
        yield server, request.param


def event_list(there: tuple[DataManagerServer, str], segment: str = "carts", **keys: Any) -> EventList:
    server, transport = there
    made = ga4(server.url(transport), via="data_manager", transport=transport, **keys).audience_list(segment, "p1")
    assert isinstance(made, EventList)
    return made


def test_event_says_who_and_what_and_that_the_user_agreed(there: tuple[DataManagerServer, str]) -> None:
    answer = event_list(there).send("add", [device(1), device(2)])
    (request,) = there[0].model.requests
    (receiver,) = request.destinations
    assert receiver.operating_account.account_id == "123456789"
    assert receiver.operating_account.account_type.name == "GOOGLE_ANALYTICS_PROPERTY"
    assert receiver.product_destination_id == STREAM
    first, second = request.events
    assert (first.client_id, first.user_id, first.event_name) == ("1.1", "u1", "microconv_segment")
    assert first.app_instance_id == ""
    assert second.client_id == "2.2"
    assert first.event_source.name == "WEB"
    assert abs(first.event_timestamp.timestamp() - time.time()) < 60
    assert first.consent.ad_user_data.name == first.consent.ad_personalization.name == "CONSENT_GRANTED"
    (held,) = first.user_properties.additional_user_properties
    assert (held.property_name, held.value) == ("mc_carts", "carts")
    assert answer.state == "accepted"
    assert event_list(there).ask(answer.request_id or "").state == "success"


def test_event_of_who_leaves_says_no_word_of_consent(there: tuple[DataManagerServer, str]) -> None:
    event_list(there, stream="1:1234567890:android:321abc456def7890").send("remove", [device(1)])
    (event,) = there[0].model.requests[0].events
    (held,) = event.user_properties.additional_user_properties
    assert held.value == OUT
    assert "consent" not in event
    assert (event.app_instance_id, event.client_id, event.event_source.name) == ("1.1", "", "APP")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Refuse(429, "RESOURCE_EXHAUSTED", retry_after=7.0), TryLaterError),
        (Refuse(403, "PERMISSION_DENIED"), RefusedError),
        (HangUp(), UnsureError),
        (HangUp(is_done=True), UnsureError),
        (Fail(500), UnsureError),
    ],
)
def test_call_that_fails_is_one_of_three(
    there: tuple[DataManagerServer, str], fault: Any, error: type[Exception]
) -> None:
    there[0].model.faults.append(fault)
    with pytest.raises(error) as caught:
        event_list(there).send("add", [device(1)])
    if isinstance(caught.value, TryLaterError):
        assert caught.value.retry_after == timedelta(seconds=7)


def test_devices_that_google_names_are_set_apart(there: tuple[DataManagerServer, str]) -> None:
    there[0].model.faults.append(Refuse(400, "INVALID_ARGUMENT", (("events[1].client_id", "INVALID_FORMAT"),)))
    with pytest.raises(RefusedError) as caught:
        event_list(there).send("add", [device(1), device(2)])
    assert caught.value.rows == (1,)
    assert "u2" not in str(caught.value)


def test_what_became_of_a_request_is_asked(there: tuple[DataManagerServer, str]) -> None:
    model = there[0].model
    model.slowest = 1
    audience = event_list(there)
    answer = audience.send("add", [device(1)])
    request_id = answer.request_id or ""
    assert audience.ask(request_id).state == "accepted"
    model.tick()
    assert audience.ask(request_id).state == "success"
    model.tick(51 * 24 * 60)
    assert audience.ask(request_id).state == "unknown"
    assert audience.ask("never-was").state == "unknown"


def test_question_that_is_refused_says_nothing_of_the_request(there: tuple[DataManagerServer, str]) -> None:
    audience = event_list(there)
    request_id = audience.send("add", [device(1)]).request_id or ""
    there[0].model.faults.append(Refuse(403, "PERMISSION_DENIED"))
    with pytest.raises(UnsureError):
        audience.ask(request_id)


def test_google_looks_at_a_batch_without_any_effect(there: tuple[DataManagerServer, str]) -> None:
    assert event_list(there).validate("add", [device(1)]).state == "success"
    (request,) = there[0].model.requests
    assert request.validate_only
    assert [each.user_id for each in request.events] == ["u1"]
    assert not there[0].model.events


def test_credentials_that_are_missing_are_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(UsageError) as caught:
        ga4("https://127.0.0.1:9", via="data_manager").check_ready()
    assert caught.value.exit_code == 2
    assert "application-default login" in caught.value.hint


# The validation server


def test_validation_server_looks_at_the_first_request(stream: Stream, address: str) -> None:
    assert protocol_list(address).validate("add", [device(1), device(2)]).state == "success"
    (looked_at,) = stream.validated
    assert looked_at["validation_behavior"] == "ENFORCE_RECOMMENDATIONS"
    assert looked_at["user_properties"] == {"mc_carts": {"value": "carts"}}
    assert not stream.requests


def test_mistakes_are_told_by_code_and_place_alone(address: str) -> None:
    audience = protocol_list(address)
    audience.membership.user_property = "ga_carts"
    answer = audience.validate("add", [device(1)])
    assert (answer.state, answer.reason) == ("failed", "NAME_INVALID at user_properties.ga_carts")


def test_validation_server_that_is_down_is_no_success() -> None:
    with pytest.raises(UnsureError):
        protocol_list("http://127.0.0.1:9").validate("add", [device(1)])


@pytest.mark.parametrize("via", ["data_manager", "measurement_protocol"])
def test_devices_are_told_again_before_ga4_forgets_them(via: str) -> None:
    limits = ga4(via=via, expires_after="100d").audience_list("carts", "p1").limits
    assert limits.refresh_after == timedelta(days=80)
    assert ga4(via=via).audience_list("carts", "p1").limits.lifespan == timedelta(days=60)


# The doctor


@pytest.fixture(params=["grpc", "rest", "measurement_protocol"])
def examined(request: pytest.FixtureRequest) -> Iterator[tuple[Ga4Destination, Any, PropertyModel]]:
    of_property = PropertyModel()
    by_protocol = request.param == "measurement_protocol"
    model: Any = Stream() if by_protocol else DataManagerModel()
    transport = "rest" if by_protocol else request.param
    with PropertyServer(of_property) as server, (serving if by_protocol else data_manager)(model) as there:
        keys = {"via": request.param if by_protocol else "data_manager", "transport": transport}
        keys |= {"admin_endpoint": server.url(transport), "data_endpoint": server.url(transport)}
        yield ga4(there if by_protocol else there.url(transport), **keys), model, of_property


def test_doctor_says_what_a_push_needs_and_changes_nothing(
    examined: tuple[Ga4Destination, Any, PropertyModel],
) -> None:
    destination, model, of_property = examined
    found = list(destination.examine(["carts"]))
    assert [each.severity for each in found] == ["ok", "warning", "warning"]
    assert "custom dimension mc_carts" in found[1].message
    assert 'no audience "microconv carts"' in found[2].message
    assert not [each for each in model.requests if not getattr(each, "validate_only", False)]
    assert not of_property.audiences
    of_property.dimensions.append(api.CustomDimension(parameter_name="mc_carts", scope="USER"))
    of_property.audiences.append(api.Audience(display_name="microconv carts", name="a/1"))
    assert [each.severity for each in destination.examine(["carts"])] == ["ok"]


def test_doctor_goes_on_where_something_cannot_be_looked_at(
    examined: tuple[Ga4Destination, Any, PropertyModel],
) -> None:
    destination, _, of_property = examined
    of_property.faults.append(AnotherRefuse(403))
    first, last = destination.examine(["carts"])
    assert (first.severity, last.severity) == ("ok", "not_tested")
    assert "Viewer" in last.remedy


def test_doctor_counts_the_custom_dimensions_that_are_left(
    examined: tuple[Ga4Destination, Any, PropertyModel],
) -> None:
    destination, _, of_property = examined
    of_property.dimensions += [api.CustomDimension(parameter_name=f"p{n}", scope="USER") for n in range(25)]
    assert "25 user-scoped custom dimensions, of 25" in list(destination.examine(["carts"]))[-1].message


def test_doctor_tells_what_google_refuses(there: tuple[DataManagerServer, str]) -> None:
    server, transport = there
    server.model.faults.append(Refuse(403, "PERMISSION_DENIED"))
    destination = ga4(
        server.url(transport), via="data_manager", transport=transport, admin_endpoint=server.url(transport)
    )
    found = next(destination.examine(["carts"]))
    assert found.severity == "error"
    assert "PERMISSION_DENIED" in found.message


def test_doctor_tells_of_a_segment_that_cannot_go_there(address: str) -> None:
    with pytest.raises(UsageError, match="no user property"):
        next(ga4(address, admin_endpoint=address).examine(["cart-leavers"]))


def test_doctor_shows_google_nobody(examined: tuple[Ga4Destination, Any, PropertyModel]) -> None:
    destination, model, _ = examined
    list(destination.examine(["carts"]))
    shown = model.validated if isinstance(model, Stream) else [each.events[0] for each in model.requests]
    assert [each["user_id"] if isinstance(each, dict) else each.user_id for each in shown] == ["example"]


def test_audience_says_how_many_it_had_when_it_was_exported(
    examined: tuple[Ga4Destination, Any, PropertyModel],
) -> None:
    destination, _, of_property = examined
    of_property.members = lambda _: {("1.1", "u1"), ("2.2", "u2")}
    assert "no audience" in destination.list_facts("carts").notes[0]
    name = f"properties/{PROPERTY}/audiences/1"
    of_property.audiences.append(api.Audience(display_name="microconv carts", name=name))
    assert "not exported yet" in destination.list_facts("carts").notes[0]
    with contextlib.closing(destination.exports()) as exports:
        exports.begin(name)
    assert destination.list_facts("carts").members is None
    of_property.tick()
    facts = destination.list_facts("carts")
    assert (facts.members, facts.is_open) == (2, True)
    assert "exported 2026-01-01" in facts.notes[0]


def test_erasure_deletes_the_user_and_the_devices_told_of(
    examined: tuple[Ga4Destination, Any, PropertyModel],
) -> None:
    destination, _, of_property = examined
    forgotten = destination.forget(["u1"], [SignedInDevice("1.1", "u1")])
    assert forgotten is not None
    assert forgotten.ids == 2
    assert of_property.deleted == [{"user_id": "u1"}, {"client_id": "1.1"}]


def test_erasure_deletes_nobody_where_that_is_not_wanted() -> None:
    assert ga4(deletes_users=False).forget(["u1"]) is None


@pytest.mark.parametrize("package", ["google.ads.datamanager_v1", "google.analytics.admin_v1alpha"])
def test_missing_package_is_told_with_the_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    destination = ga4("http://127.0.0.1:9", via="data_manager")
    asked = destination.check_ready if "datamanager" in package else destination.admin
    with pytest.raises(UsageError, match="needs a package that is not installed") as caught:
        asked()
    assert 'pip install "microconv[ga4]"' in caught.value.hint
    assert caught.value.exit_code == 2


# Settings


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"stream": "123456789"}, "is not the id of a data stream"),
        ({"stream": "G-abc"}, "is not the id of a data stream"),
        ({"ga4_property": "G-TESTS12345"}, "is not the number of a GA4 property"),
        ({"via": "measurement_protocol", "api_secret": None}, "is required with via"),
        ({"api_secret": "in clear"}, "holds a secret in clear"),
        ({"event": "ga_segment"}, "is not the name of an event"),
        ({"user_properties": {"carts": "user_id"}}, "keeps for itself"),
        ({"user_properties": {"carts": "x" * 25}}, "is not the name of a user property"),
        ({"user_properties": {"carts": "mc_buyers"}}, "begins with mc_"),
        ({"user_properties": {"carts": "left", "buyers": "left"}}, "is the user property of carts already"),
        ({"endpoint": "http://elsewhere.example"}, "must begin with https://"),
    ],
)
def test_mistakes_in_settings(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    entry = DestinationConfig(**{**KEYS, "name": "ga4", **keys})
    with pytest.raises(ConfigError, match=said):
        catalogue.destination(entry, tmp_path / "microconv.toml")


@pytest.mark.parametrize("segment", ["cart-leavers", "people_who_left_a_cart"])
def test_segment_that_cannot_name_a_user_property_needs_one(segment: str) -> None:
    with pytest.raises(UsageError, match=f"no user property for the segment {segment}") as caught:
        ga4().audience_list(segment, "p1")
    assert "user_properties" in caught.value.hint
    named = ga4(user_properties={segment: "left_cart"}).audience_list(segment, "p1")
    assert named.membership.user_property == "left_cart"


def test_segment_whose_name_is_no_value_is_refused() -> None:
    segment = "a" * 37
    with pytest.raises(UsageError, match="too long for GA4"):
        ga4(user_properties={segment: "left_cart"}).audience_list(segment, "p1")


def test_missing_secret_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GA4_SECRET")
    with pytest.raises(ConfigError, match="api_secret of the destination ga4 is missing") as caught:
        ga4().audience_list("carts", "p1")
    assert caught.value.exit_code == 2


# The contract of a push


class DevicesContract(DestinationContract):
    """Lists of devices: whose user ids are in clear, and which devices these have, the export knows."""

    vectors = (("user_id", "u 7", "u 7"),)
    stream: Stream

    @pytest.fixture(autouse=True)
    def without_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The Admin API is not asked: this machine has no credentials, and does not look far for them."""
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        monkeypatch.setenv("NO_GCE_CHECK", "true")

    def some(self, destination: Destination, count: int, start: int = 0) -> list[Identifier]:  # noqa: ARG002 - all take devices
        return [device(number) for number in range(start, start + count)]

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - the stream knows
        for _ in range(SLOWEST + 1):
            self.stream.tick()

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:
        name = destination.settings.user_property(segment)
        found = self.stream.having(name, segment)
        return {Identifier(DEVICE, SignedInDevice(*each).identifier) for each in found}


NAMED = {"buyers-0001": "buyers_1", **{f"segment-{seed}": f"segment_{seed}" for seed in range(1)}}


class TestMeasurementProtocol(DevicesContract):
    keys: ClassVar[dict[str, Any]] = {**KEYS, "user_properties": NAMED}
    schedules = (1, 0)

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[Destination]:  # type: ignore[override]  # a fixture
        self.stream = Stream()
        with serving(self.stream) as address:
            entry = DestinationConfig(**self.keys, name="there", endpoint=address)
            yield catalogue.destination(entry, tmp_path / "microconv.toml")

    def test_requests_can_be_asked_about_later(self, destination: Destination) -> None:
        """Nobody ever says what became of them."""
        answer = destination.audience_list("buyers", "p1").send("add", self.some(destination, 1))
        assert (answer.state, answer.request_id) == ("unknown", None)
        assert destination.audience_list("buyers", "p2").ask("r1").state == "unknown"


def in_ga4(model: DataManagerModel, name: str, value: str) -> set[Identifier]:
    """The devices whose property has a value: what took effect last counts."""
    held: dict[Identifier, str] = {}
    for sent in model.events:
        for each in sent.event.user_properties.additional_user_properties:
            if each.property_name == name:
                of = SignedInDevice(sent.event.client_id, sent.event.user_id)
                held[Identifier(DEVICE, of.identifier)] = each.value
    return {each for each, now in held.items() if now == value}


class TestEventsByRest(DevicesContract):
    keys: ClassVar[dict[str, Any]] = {**KEYS, "via": "data_manager", "transport": "rest", "user_properties": NAMED}
    schedules = (1, 0)

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[Destination]:  # type: ignore[override]  # a fixture
        with data_manager(DataManagerModel(slowest=SLOWEST)) as server:
            self.model = server.model
            entry = DestinationConfig(**self.keys, name="there", endpoint=server.url(self.keys["transport"]))
            yield catalogue.destination(entry, tmp_path / "microconv.toml")

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - the server knows
        self.model.tick(SLOWEST + 1)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:
        return in_ga4(self.model, destination.settings.user_property(segment), segment)


class TestEventsByGrpc(TestEventsByRest):
    keys: ClassVar[dict[str, Any]] = {**TestEventsByRest.keys, "transport": "grpc"}


def run_over_the_api(seed: int, server: DataManagerServer, transport: str) -> list[str]:
    """Run a schedule over the Data Manager API; return what was wrong."""
    model = server.model = DataManagerModel(chance=random.Random(seed), is_faulty=True, slowest=SLOWEST)

    def settle() -> None:
        model.tick(SLOWEST + 1)
        # Sixteen pushes of faults, then quiet ones.
        model.is_faulty = model.now < START + 15 * (SLOWEST + 1) * MINUTE

    devices = [device(number) for number in range(8)]
    wrong = wrong_lists(
        seed,
        devices,
        lambda _: event_list((server, transport)),
        lambda: in_ga4(model, "mc_carts", "carts"),
        settle,
        segment="carts",
    )
    # It was put to the test.
    assert len(model.calls) > len(model.accepted)
    return wrong


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_after_any_faults_of_the_api_the_property_is_what_is_wanted(transport: str) -> None:
    with data_manager(DataManagerModel()) as server:
        for seed in range(number_of_schedules(6)):
            assert run_over_the_api(seed, server, transport) == []


@pytest.mark.long
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_after_many_faults_of_the_api_the_property_is_what_is_wanted(transport: str) -> None:
    with data_manager(DataManagerModel()) as server:
        for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
            assert run_over_the_api(seed, server, transport) == []


def run_over_the_protocol(seed: int) -> list[str]:
    """Run a schedule over the Measurement Protocol; return what was wrong."""
    stream = Stream(chance=random.Random(seed), is_faulty=True)

    def listed() -> set[Identifier]:
        return {Identifier(DEVICE, SignedInDevice(*each).identifier) for each in stream.having("mc_carts", "carts")}

    def settle() -> None:
        for _ in range(SLOWEST + 1):
            stream.tick()

    devices = [device(number) for number in range(8)]
    with serving(stream) as address:
        wrong = wrong_lists(seed, devices, lambda _: protocol_list(address), listed, settle, segment="carts")
    # It was put to the test.
    assert stream.lost
    assert stream.minute > FAULTY_MINUTES
    return wrong


@pytest.mark.parametrize("seed", range(4))
def test_after_any_faults_the_property_is_what_is_wanted(seed: int) -> None:
    assert run_over_the_protocol(seed) == []


@pytest.mark.long
def test_after_many_faults_the_property_is_what_is_wanted() -> None:
    for seed in range(1_000, 1_000 + number_of_schedules(MANY)):
        assert run_over_the_protocol(seed) == []
