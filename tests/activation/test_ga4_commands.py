"""GA4 from nothing to a proof, by the commands: a push, the audience that it needs, and who is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ga4_server import SECRET, STREAM, Stream
from ga4_server import serving as measurement_protocol
from pushed_shop import TODAY, Shop

import analytics_property_server as property_server
import ga4
from analytics_property_server import PROPERTY, PropertyModel, PropertyServer
from data_manager_server import DataManagerModel
from data_manager_server import serving as data_manager

GA4 = """
[[segments]]
name = "left_carts"
rule = {{ did = "add_to_cart", within = "14d" }}
identity = ["user_id"]
destinations = ["ga4"]

[[segments]]
name = "sequence"
rule = {{ sequence = ["view_item", "add_to_cart"], within = "14d" }}

[[destinations]]
name = "ga4"
kind = "ga4"
ga4_property = "{ga4_property}"
stream = "{stream}"
via = "{via}"
api_secret = {{ env = "GA4_SECRET" }}
endpoint = "{endpoint}"
admin_endpoint = "{of_property}"
data_endpoint = "{of_property}"
transport = "{transport}"
"""


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GA4_SECRET", SECRET)
    # The server's clock begins two days ahead, so that all that was sent has settled.
    monkeypatch.setattr(property_server, "START", datetime.now(tz=UTC) + timedelta(days=2))


class Place:
    """A shop, and the servers of GA4 that it is pushed to."""

    def __init__(self, shop: Shop, model: Any, of_property: PropertyModel) -> None:
        self.shop, self.model, self.of_property = shop, model, of_property

    def values(self) -> dict[tuple[str, str], str]:
        """The value of the property now, by client id and user."""
        if isinstance(self.model, Stream):
            for _ in range(4):
                self.model.tick()
            return {device: values["mc_left_carts"] for device, values in self.model.properties.items()}
        found = {}
        for sent in self.model.events:
            (held,) = sent.event.user_properties.additional_user_properties
            assert held.property_name == "mc_left_carts"
            found[sent.event.client_id, sent.event.user_id] = held.value
        return found

    def members(self, audience: Any) -> set[tuple[str, str]]:
        (clause,) = audience.filter_clauses
        (group,) = clause.simple_filter.filter_expression.and_group.filter_expressions
        one = group.or_group.filter_expressions[0].dimension_or_metric_filter
        assert one.field_name == "customUser:mc_left_carts"
        return {device for device, value in self.values().items() if value == one.string_filter.value}


@pytest.fixture(params=["grpc", "rest", "measurement_protocol"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    by_protocol = request.param == "measurement_protocol"
    transport = "rest" if by_protocol else request.param
    of_property = PropertyModel(now=property_server.START)
    model: Any = Stream() if by_protocol else DataManagerModel()
    with PropertyServer(of_property) as server, (measurement_protocol if by_protocol else data_manager)(model) as there:
        endpoint = there if by_protocol else there.url(transport)
        keys = {"ga4_property": PROPERTY, "stream": STREAM, "transport": transport, "endpoint": endpoint}
        keys |= {"via": request.param if by_protocol else "data_manager", "of_property": server.url(transport)}
        place = Place(Shop(tmp_path / "shop", of_push=GA4.format(**keys)), model, of_property)
        of_property.members = place.members
        yield place


def devices(*numbers: int) -> set[tuple[str, str]]:
    return {(f"{number}.{number}", f"u{number}") for number in numbers}


def test_push_a_denial_and_the_proof(place: Place) -> None:
    shop = place.shop
    unconfirmed = isinstance(place.model, Stream)

    done = shop.run("push", "left_carts", "--dry-run")
    assert done.code == 0, done.stderr
    assert "would take the first request to add (4 identifiers)" in done.stdout
    if unconfirmed:
        assert not place.model.requests
    else:
        assert [each.validate_only for each in place.model.requests] == [True]
    assert not place.values()

    done = shop.run("push", "left_carts")
    assert done.code == (4 if unconfirmed else 0), done.stderr
    assert ("sent, unconfirmed" in done.stderr) == unconfirmed
    assert place.values() == dict.fromkeys(devices(1, 2, 3, 4), "left_carts")

    # Nobody made the audience yet.
    done = shop.run("push", "verify-ga4")
    assert done.code == 4
    assert 'no audience "microconv left_carts"' in done.stdout

    done = shop.run("segment", "ga4", "left_carts", "--by-push", "--create")
    assert done.code == 0, done.stderr
    assert [each.parameter_name for each in place.of_property.dimensions] == ["mc_left_carts"]
    assert [each.display_name for each in place.of_property.audiences] == ["microconv left_carts"]

    done = shop.run("push", "verify-ga4")
    assert done.code == 4
    assert "being exported" in done.stdout
    place.of_property.tick()
    done = shop.run("push", "verify-ga4", "--format", "json")
    assert done.code == 0, done.stderr
    (row,) = json.loads(done.stdout)["lists"]
    assert (row["told"], row["found"], row["missing"], row["others"]) == (4, 4, 0, 0)
    assert row["confirmed"] == (4 if unconfirmed else 0)
    # It began no second export.
    assert len(place.of_property.exports) == 1

    # What was confirmed is not said again.
    place.model.requests.clear()
    done = shop.run("push", "left_carts")
    assert done.code == 0, done.stderr
    assert not [each for each in place.model.requests if not hasattr(each, "request_id")]

    shop.agree([2, 3, 4], denied=[1])
    done = shop.run("push", "left_carts")
    assert place.values() == {**dict.fromkeys(devices(2, 3, 4), "left_carts"), ("1.1", "u1"): "(out)"}
    done = shop.run("push", "ledger", "verify")
    assert done.code == 0, done.stdout


def test_audience_that_differs_is_exit_code_1(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    shop.run("segment", "ga4", "left_carts", "--by-push", "--create")
    place.of_property.members = lambda _: (devices(1, 2, 3)) | {("9.9", ""), ("", "u8")}
    assert shop.run("push", "verify-ga4", "left_carts", "--to", "ga4").code == 4
    place.of_property.tick()
    done = shop.run("push", "verify-ga4", "left_carts", "--format", "json")
    assert done.code == 1
    (row,) = json.loads(done.stdout)["lists"]
    assert (row["found"], row["missing"], row["others"], row["outcome"]) == (3, 1, 2, "differs")
    assert not {"1.1", "u1", "9.9"} & set(done.stdout.replace('"', " ").split())


def test_export_that_failed_is_begun_anew(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    shop.run("segment", "ga4", "left_carts", "--by-push", "--create")
    shop.run("push", "verify-ga4")
    place.of_property.fails = True
    place.of_property.tick()
    place.of_property.fails = False
    assert shop.run("push", "verify-ga4").code == 4
    assert len(place.of_property.exports) == 2


def test_device_that_another_user_signs_in_on_is_taken_back(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    day = TODAY - timedelta(days=2)
    event = ga4.event(f"{day} 10:00:00", "page_view", client="1.1", session=9) | {"user_id": "u9"}
    ga4.write_parquet(shop.folder / "exports" / f"{ga4.shard_name(day)}.parquet", [event])
    assert shop.run("sync").code == 0
    done = shop.run("push", "left_carts")
    assert "left_carts at ga4: 1 of 4 people have no device that only they signed in on" in done.stderr
    assert place.values() == {**dict.fromkeys(devices(2, 3, 4), "left_carts"), ("1.1", "u1"): "(out)"}


def test_erased_person_gets_out_and_is_forgotten(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    done = shop.run("erase", "u2", "--format", "json")
    assert place.values() == {**dict.fromkeys(devices(1, 3, 4), "left_carts"), ("2.2", "u2"): "(out)"}
    parts = {part["place"]: part for part in done.document["parts"]}
    # Nobody confirms what the Measurement Protocol was told.
    unconfirmed = isinstance(place.model, Stream)
    assert parts["users and devices of GA4 at ga4"]["found"] == 2
    assert place.of_property.deleted == [{"user_id": "u2"}, {"client_id": "2.2"}]
    assert parts["list left_carts at ga4"]["state"] == ("waiting for the destination" if unconfirmed else "removed")
    assert done.code == (1 if unconfirmed else 0)
    place.values()
    assert shop.run("push", "left_carts").code == (4 if unconfirmed else 0)
    assert place.values()["2.2", "u2"] == "(out)"


def test_status_asks_how_many_are_in_the_audience(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    assert "no audience" in shop.run("push", "status", "--ask").stdout
    shop.run("segment", "ga4", "left_carts", "--by-push", "--create")
    shop.run("push", "verify-ga4")
    place.of_property.tick()
    done = shop.run("push", "status", "--ask", "--format", "json")
    assert done.code == 0, done.stderr
    assert "exported" in done.stdout
    done = shop.run("doctor")
    assert "ga4 (ga4): GA4 would take an event of left_carts." in done.stdout


def test_explanation_follows_a_device_to_its_receipt(place: Place) -> None:
    shop = place.shop
    shop.run("push", "left_carts")
    done = shop.run("explain", "u2", "--segment", "left_carts", "--format", "json")
    assert done.code == 0, done.stderr
    (sent,) = done.document["sent"]
    assert (sent["kind"], sent["operation"]) == ("device", "add")
    assert "2.2\\tu2" not in done.stdout
    assert sent["digits"] == hashlib.sha256(b"2.2\tu2").hexdigest()[: len(sent["digits"])]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    keys = {"ga4_property": PROPERTY, "stream": STREAM, "transport": "rest", "via": "data_manager"}
    nowhere = "http://127.0.0.1:9"
    return Shop(tmp_path / "shop", of_push=GA4.format(**keys, endpoint=nowhere, of_property=nowhere))


def test_definition_is_shown_without_a_call(shop: Shop) -> None:
    done = shop.run("segment", "ga4", "left_carts")
    assert done.code == 0, done.stderr
    assert "add_to_cart at least 1 time in the last 14 days" in done.stdout
    assert "your consent table" in done.stdout
    document = json.loads(shop.run("segment", "ga4", "left_carts", "--format", "json").stdout)
    assert document["definition"]["membership_duration_days"] == 14


def test_rule_that_is_not_translated_says_why_and_makes_nothing(shop: Shop) -> None:
    done = shop.run("segment", "ga4", "sequence")
    assert done.code == 0
    assert "no look-back of its own" in done.stdout
    done = shop.run("segment", "ga4", "sequence", "--create")
    assert done.code == 1
    assert "--by-push" in done.stderr


@pytest.mark.parametrize(
    ("label", "others", "said"),
    [
        ("", '[[sources]]\nproperty = "other"\npath = "other/*.parquet"', "of which property"),
        ("elsewhere", "", "names a property that is not under [[sources]]"),
    ],
)
def test_property_of_the_devices_must_be_known(shop: Shop, label: str, others: str, said: str) -> None:
    path = shop.folder / "microconv.toml"
    text = path.read_text().replace('kind = "ga4"', f'kind = "ga4"\nproperty = "{label}"' if label else 'kind = "ga4"')
    path.write_text(f"{text}\n{others}\n")
    done = shop.run("push", "left_carts")
    assert done.code == 2
    assert said in done.stderr


def test_nothing_to_prove_is_told(shop: Shop) -> None:
    done = shop.run("push", "verify-ga4")
    assert done.code == 2
    assert "nothing to prove" in done.stderr
    done = shop.run("push", "verify-ga4", "--to", "files")
    assert done.code == 2
    assert "not of the kind ga4" in done.stderr


def test_property_that_cannot_be_reached_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microconv.clients.analytics_access.AnalyticsClient.tries", 1)
    done = shop.run("segment", "ga4", "left_carts", "--create")
    assert done.code == 3
    assert "GA4's Admin API could not be reached" in done.stderr
