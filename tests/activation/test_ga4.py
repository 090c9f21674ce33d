"""GA4 as a destination: which devices it is told of, by which user property, and what nobody confirms."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ga4_server import FAULTY_MINUTES, SECRET, SLOWEST, STREAM, Stream, serving

from microconv import catalogue
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.ga4 import OUT, Ga4Destination, Ga4Settings, ProtocolList
from microconv.activation.push.audience_list import Identifier, RefusedError, TryLaterError, UnsureError
from microconv.activation.push.identifiers import DEVICE, SignedInDevice
from microconv.config.sections import DestinationConfig
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
    return ga4(address, **keys).audience_list(segment, "p1")


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


# The validation server


def test_validation_server_looks_at_a_request_about_nobody(stream: Stream, address: str) -> None:
    assert protocol_list(address).validate("add").state == "success"
    (looked_at,) = stream.validated
    assert looked_at["validation_behavior"] == "ENFORCE_RECOMMENDATIONS"
    assert looked_at["user_properties"] == {"mc_carts": {"value": "carts"}}
    assert not stream.requests


def test_mistakes_are_told_by_code_and_place_alone(address: str) -> None:
    audience = protocol_list(address)
    audience._membership.user_property = "ga_carts"
    answer = audience.validate("add")
    assert (answer.state, answer.reason) == ("failed", "NAME_INVALID at user_properties.ga_carts")


def test_validation_server_that_is_down_is_no_success() -> None:
    with pytest.raises(UnsureError):
        protocol_list("http://127.0.0.1:9").validate("add")


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
    assert named._membership.user_property == "left_cart"


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


@pytest.mark.parametrize("seed", range(6))
def test_after_any_faults_the_property_is_what_is_wanted(seed: int) -> None:
    stream = Stream(chance=random.Random(seed), is_faulty=True)

    def listed() -> set[Identifier]:
        return {Identifier(DEVICE, SignedInDevice(*each).identifier) for each in stream.having("mc_carts", "carts")}

    def settle() -> None:
        for _ in range(SLOWEST + 1):
            stream.tick()

    devices = [device(number) for number in range(8)]
    with serving(stream) as address:
        assert wrong_lists(seed, devices, lambda _: protocol_list(address), listed, settle, segment="carts") == []
    # It was put to the test.
    assert stream.lost
    assert stream.minute > FAULTY_MINUTES
