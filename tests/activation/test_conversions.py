"""`microconv conversions`, through the real command, to Google on loopback: what it then has, and what stops it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ga4
from commands import Done
from data_manager_server import DataManagerModel, DataManagerServer, HangUp, Refuse, serving
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.conversions import one_conversion
from microconv.cli import cli
from microconv.project import Project
from projects import write_config

TODAY = datetime.now(tz=UTC).date()
DAY = TODAY - timedelta(days=3)
REFUNDS = """
name = "shop"
version = "1.0"

[[micro_conversions]]
id = "refund"
name = "Refund"
event = "refund"
kind = "secondary"
stage = "post_sale"
value = "event"
"""
SECTIONS = """
[taxonomy]
file = "taxonomy.toml"

[[destinations]]
name = "ads"
kind = "google_ads"
customer_id = "1234567890"
accepts_customer_match_terms = true
transport = "rest"
endpoint = "{endpoint}"
timeout = "5s"

[[conversions]]
name = "orders"
entry = "purchase"
refund = "refund"
destination = "ads"
action = "777"
{keys}

[identity]
file = "identity.csv"

[consent]
file = "consent.csv"

[push]
max_delete_pct = 50
{of_push}
"""


def bought(number: int, at: str = "10:00:00", value: float = 10.0, **fields: Any) -> list[dict[str, Any]]:
    """A user clicks on an ad, and buys."""
    user = {"client": f"{number}.{number}", "session": number, "user_id": f"u{number}"}
    ad = {"page_location": f"https://shop.example/?gclid=click{number}"}
    order = {"transaction_id": f"T{number}", "value": value, "currency": "EUR"}
    return [
        ga4.event(f"{DAY} 09:00:00", "page_view", params=ad, **user),
        ga4.event(f"{DAY} {at}", "purchase", params=order | fields, **user),
    ]


def given_back(number: int, value: float) -> dict[str, Any]:
    order = {"transaction_id": f"T{number}", "value": value, "currency": "EUR"}
    return ga4.event(
        f"{DAY} 12:00:00", "refund", params=order, client=f"{number}.{number}", session=number, user_id=f"u{number}"
    )


@dataclass
class Shop:
    """A shop whose users u1 to u4 bought something after a click; its ads are on loopback."""

    folder: Path
    server: DataManagerServer
    keys: str = ""
    of_push: str = ""

    def __post_init__(self) -> None:
        (self.folder / "taxonomy.toml").write_text(REFUNDS)
        self.know()
        self.agree(1, 2, 3, 4)
        self.configure()
        self.stage(*(bought(number) for number in range(1, 5)))

    def configure(self) -> None:
        filled = SECTIONS.format(endpoint=self.server.rest, keys=self.keys, of_push=self.of_push)
        write_config(self.folder, extra=filled)

    def stage(self, *orders: list[dict[str, Any]]) -> None:
        """Let the export hold these orders alone, and stage it."""
        events = [event for order in orders for event in order]
        events.append(ga4.event(f"{TODAY - timedelta(days=1)} 10:00:00", "page_view", client="9.9", session=9))
        shutil.rmtree(self.folder / "exports", ignore_errors=True)
        for day in {DAY, TODAY - timedelta(days=1)}:
            of_day = [event for event in events if event["event_date"] == f"{day:%Y%m%d}"]
            if not of_day:
                of_day = [ga4.event(f"{day} 01:00:00", "page_view", client="9.9", session=8)]
            ga4.write_parquet(self.folder / "exports" / f"{ga4.shard_name(day)}.parquet", of_day)
        assert self.run("sync").code == 0

    def know(self, **others: str) -> None:
        rows = {f"u{number}": f"user{number}@shop.example" for number in range(1, 5)} | others
        lines = [f"{user},{email}" for user, email in rows.items()]
        (self.folder / "identity.csv").write_text("\n".join(("user_id,email", *lines, "")))

    def agree(self, *granted: int, denied: tuple[int, ...] = ()) -> None:
        answers = [(number, "granted") for number in granted] + [(number, "denied") for number in denied]
        rows = [f"u{number},{answer},{answer},2026-01-01" for number, answer in answers]
        columns = "user_id,ad_user_data,ad_personalization,changed_at"
        (self.folder / "consent.csv").write_text("\n".join((columns, *rows, "")))

    def run(self, *arguments: str) -> Done:
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(cli, arguments, prog_name="microconv")
        return Done(done.exit_code, done.stdout, done.stderr)

    def send(self, *arguments: str) -> dict[str, Any]:
        done = self.run("conversions", "send", "--format", "json", *arguments)
        document = json.loads(done.stdout)
        assert done.code == 0, done
        found: dict[str, Any] = document["conversions"][0]
        return found

    @property
    def there(self) -> dict[str, float]:
        """What Google counts, by order id."""
        return {order: event.conversion_value for (_, order), event in self.server.model.conversions.items()}


@pytest.fixture(scope="module")
def shared() -> Iterator[DataManagerServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: DataManagerServer) -> DataManagerServer:
    shared.model = DataManagerModel()
    return shared


@pytest.fixture
def shop(tmp_path: Path, server: DataManagerServer) -> Shop:
    return Shop(tmp_path, server)


def test_those_who_agreed_are_sent_with_their_click_and_address_and_nothing_is_sent_twice(shop: Shop):
    shop.agree(1, 2, denied=(3,))
    orders = shop.send()
    assert (orders["orders"], orders["new"], orders["value"]) == (4, 2, {"EUR": 20.0})
    assert orders["left_out"] == {"consent_denied": 1, "no_consent_record": 1}
    assert shop.there == {"T1": 10.0, "T2": 10.0}
    event = shop.server.model.conversions["777", "T1"]
    assert event.ad_identifiers.gclid == "click1"
    assert [each.email_address for each in event.user_data.user_identifiers] == [sha256_hex("user1@shop.example")]
    assert event.event_timestamp.strftime("%Y-%m-%d %H:%M") == f"{DAY} 10:00"
    again = shop.send()
    assert (again["outcome"], again["standing"], again["batches"]) == ("nothing to send", 2, [])
    assert len(shop.server.model.events) == 2


def test_a_dry_run_has_the_plan_of_the_run_after_it_and_google_checks_it(shop: Shop):
    dry = shop.run("conversions", "send", "--dry-run", "--format", "json")
    document = json.loads(dry.stdout)
    assert document["conversions"][0]["outcome"] == "would be sent"
    assert "orders at ads checked 4 orders: it would take them." in dry.stderr
    assert shop.there == {}
    assert json.loads(shop.run("conversions", "send", "--format", "json").stdout)["plan"] == document["plan"]
    assert len(shop.there) == 4


def test_another_value_is_restated_and_what_was_given_back_is_worth_nothing(shop: Shop):
    shop.send()
    shop.stage(
        bought(1, value=12.5),
        [*bought(2), given_back(2, 4.0)],
        [*bought(3), given_back(3, 10.0)],
        bought(4),
    )
    orders = shop.send()
    assert (orders["restated"], orders["retracted"]) == (2, {"refunded": 1})
    assert shop.there == {"T1": 12.5, "T2": 6.0, "T3": 0.0, "T4": 10.0}
    assert len(shop.server.model.events) == 4


def test_a_refund_without_an_amount_takes_back_the_whole_order_and_that_is_told(shop: Shop):
    shop.send()
    (shop.folder / "taxonomy.toml").write_text(REFUNDS.replace('value = "event"', ""))
    shop.stage(bought(1), [*bought(2), given_back(2, 4.0)], bought(3), bought(4))
    done = shop.run("conversions", "send")
    assert "refund has no value of its own" in done.stderr
    assert shop.there["T2"] == 0


def test_an_order_that_is_gone_is_worth_nothing_and_comes_back(shop: Shop):
    shop.send()
    shop.stage(bought(1), bought(2), bought(3))
    assert shop.send()["retracted"] == {"gone": 1}
    assert shop.there["T4"] == 0
    shop.stage(bought(1), bought(2), bought(3), bought(4))
    assert shop.send()["restated"] == 1
    assert shop.there["T4"] == 10


def test_many_orders_that_are_gone_at_once_stop_it(shop: Shop):
    shop.send()
    shop.stage(bought(1))
    done = shop.run("conversions", "send")
    assert done.code == 1
    assert "3 orders of 4 would be taken back; max_delete_pct is 50" in done.stderr
    assert shop.there["T4"] == 10
    shop.send("--allow-shrink")
    assert shop.there == {"T1": 10.0, "T2": 0.0, "T3": 0.0, "T4": 0.0}


def test_nothing_more_is_sent_of_who_withdrew_consent_and_that_is_told(shop: Shop):
    shop.send()
    shop.agree(1, 2, 3, denied=(4,))
    shop.stage(bought(1), bought(2), bought(3))
    requests = len(shop.server.model.requests)
    done = shop.run("conversions", "send")
    assert done.code == 0, done
    assert len(shop.server.model.requests) == requests
    assert "1 order at ads left as told" in done.stderr
    assert "consent was withdrawn" in done.stderr


def test_consent_that_is_withdrawn_between_plan_and_request_counts(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    real, asked = one_conversion.consent_signature, []

    def signature(*given: Any) -> str:
        asked.append(given)
        if len(asked) == 2:  # after the plan was made, and before anything left
            shop.agree(1, 2, denied=(3, 4))
        return real(*given)

    monkeypatch.setattr(one_conversion, "consent_signature", signature)
    shop.send()
    assert shop.there == {"T1": 10.0, "T2": 10.0}


def test_a_lost_answer_is_said_again_and_counts_once(shop: Shop):
    shop.server.model.scripted["IngestEvents"] = deque([HangUp(is_done=True)])
    done = shop.run("conversions", "send")
    assert done.code == 4
    assert "ads did not confirm 4 orders of orders (no answer came)" in done.stderr
    orders = shop.send()
    assert orders["repeated"] == 4
    assert len(shop.server.model.events) == 4


def test_what_google_refuses_is_told_and_nothing_counts(shop: Shop):
    shop.server.model.faults.append(Refuse(400, "INVALID_CONVERSION_ACTION_ID"))
    done = shop.run("conversions", "send")
    assert done.code == 4
    assert "INVALID_CONVERSION_ACTION_ID" in done.stderr
    assert shop.there == {}


def test_an_address_that_is_also_somebodys_who_refused_is_withheld(shop: Shop):
    shop.agree(1, 2, denied=(3,))
    shop.know(u3="user1@shop.example")
    shop.send()
    event = shop.server.model.conversions["777", "T1"]
    assert not list(event.user_data.user_identifiers)
    assert event.ad_identifiers.gclid == "click1"


def test_two_users_with_one_address_each_have_their_order(shop: Shop):
    shop.know(u2="user1@shop.example")
    shop.send()
    found = [shop.server.model.conversions["777", order].user_data.user_identifiers for order in ("T1", "T2")]
    assert [[each.email_address for each in one] for one in found] == [[sha256_hex("user1@shop.example")]] * 2


def test_without_click_and_address_nothing_is_sent(shop: Shop):
    shop.keys = 'identity = ["phone"]'
    shop.configure()
    assert shop.send()["left_out"] == {"no_click_or_identifier": 4}
    assert shop.there == {}


def test_more_new_orders_than_max_size_stop_it(shop: Shop):
    shop.keys = "push = { max_size = 3 }"
    shop.configure()
    done = shop.run("conversions", "send")
    assert (done.code, shop.there) == (1, {})
    assert "4 orders would be sent; max_size is 3" in done.stderr
    shop.send("--allow-growth")
    assert len(shop.there) == 4


def test_list_and_status_say_what_could_be_and_what_was_sent(shop: Shop):
    shop.agree(1, 2, 3)
    listed = json.loads(shop.run("conversions", "list", "--format", "json").stdout)["found"][0]
    assert (listed["orders"], listed["may_be_sent"], listed["left_out"]) == (4, 3, "no_consent_record 1")
    assert "orders of the last 90 days count; Google Ads takes none" in shop.run("conversions", "list").stdout
    assert "never sent" in shop.run("conversions", "status").stdout
    shop.send()
    (known,) = json.loads(shop.run("conversions", "status", "--format", "json").stdout)["found"]
    assert (known["standing"], known["value"], known["currency"], known["unsettled"]) == (3, 30.0, "EUR", 0)


def test_poll_asks_what_became_of_requests(shop: Shop):
    shop.server.model.slowest = 3
    shop.server.model.chance.seed(1)
    assert shop.send()["outcome"] in ("accepted", "sent")
    shop.server.model.settle()
    done = shop.run("conversions", "poll", "--format", "json")
    assert done.code == 0, done
    assert all(each["state"] == "success" for each in json.loads(done.stdout)["found"])


def test_no_identifier_is_in_output_or_logs(shop: Shop):
    shop.server.model.faults.append(Refuse(400, "INVALID_EVENT"))
    texts = [str(shop.run("conversions", *arguments)) for arguments in (["send"], ["send"], ["status"], ["list"])]
    for text in texts:
        assert "click1" not in text
        assert "user1" not in text
        assert sha256_hex("user1@shop.example") not in text


def test_an_erasure_forgets_what_was_sent_of_the_person(shop: Shop):
    shop.send()
    done = shop.run("erase", "u4", "--format", "json")
    assert "conversions" in done.stdout
    with Project.load(shop.folder / "microconv.toml") as project:
        rows = project._staged._connection.execute("SELECT user_id FROM mc_conversions").fetchall()
    assert sorted(rows) == [("u1",), ("u2",), ("u3",)]


def test_a_configuration_that_cannot_be_meant_is_refused(shop: Shop):
    shop.keys = '[[conversions]]\nname = "again"\nentry = "purchase"\ndestination = "ads"\naction = "777"'
    shop.configure()
    done = shop.run("conversions", "list")
    assert done.code == 2
    assert 'is that of "orders", too' in done.stderr
    shop.keys = '[[conversions]]\nname = "again"\nentry = "purchase"\ndestination = "adds"\naction = "778"'
    shop.configure()
    done = shop.run("conversions", "list")
    assert "names no destination of [[destinations]]" in done.stderr


def test_two_conversions_with_one_action_in_one_account_are_refused_before_anything_is_sent(shop: Shop):
    path = shop.folder / "microconv.toml"
    entry = path.read_text().partition("[[destinations]]")[2].partition("[[conversions]]")[0]
    other = entry.replace('name = "ads"', 'name = "other"').replace("1234567890", "123-456-7890")
    again = '[[conversions]]\nname = "again"\nentry = "add_to_cart"\ndestination = "other"\naction = "777"\n'
    path.write_text(f"{path.read_text()}\n[[destinations]]{other}\n{again}")
    shop.agree(1, 2)

    done = shop.run("conversions", "send", "orders")

    done.assert_failed(2, "The conversions orders and again have one action in one account")
    assert shop.there == {}
    path.write_text(path.read_text().replace(again, again.replace("777", "778")))
    assert shop.run("conversions", "send", "orders").code == 0


def examined(shop: Shop) -> list[tuple[str, str]]:
    found = shop.run("doctor", "--format", "json").document["checks"]
    return [(each["severity"], each["message"]) for each in found if each["check"] == "destinations"]


def only_conversions(shop: Shop) -> None:
    """The account takes conversions, and no list: it has not accepted the terms of those."""
    path = shop.folder / "microconv.toml"
    path.write_text(path.read_text().replace("accepts_customer_match_terms = true\n", ""))


def test_the_doctor_lets_google_check_a_conversion_about_nobody_and_reads_no_lists(shop: Shop):
    only_conversions(shop)

    assert examined(shop) == [
        ("ok", "ads (google_ads): Google Ads would take conversions of orders: it checked one about nobody.")
    ]
    assert shop.server.model.calls == ["IngestEvents"]
    (request,) = shop.server.model.requests
    assert request.validate_only
    assert request.destinations[0].product_destination_id == "777"
    hashes = [each.email_address for event in request.events for each in event.user_data.user_identifiers]
    assert hashes == [sha256_hex("nobody@example.com")]
    assert shop.there == {}


def test_the_doctor_tells_that_google_would_refuse_conversions(shop: Shop):
    shop.server.model.scripted["IngestEvents"] = deque([Refuse(400, "INVALID_CONVERSION_ACTION_ID")])

    (found,) = examined(shop)

    assert found[0] == "error"
    assert "would not take conversions of orders: INVALID_CONVERSION_ACTION_ID" in found[1]


def test_the_doctor_tells_that_google_did_not_say(shop: Shop):
    shop.server.model.scripted["IngestEvents"] = deque([HangUp()])

    (found,) = examined(shop)

    assert (found[0], "did not say whether" in found[1]) == ("not_tested", True)


def test_the_doctor_tells_that_an_action_is_not_a_number(shop: Shop):
    path = shop.folder / "microconv.toml"
    path.write_text(path.read_text().replace('action = "777"', 'action = "Lead"'))

    (found,) = examined(shop)

    assert found[0] == "error"
    assert "is not the number of a conversion action" in found[1]


def test_orders_are_sent_to_an_account_that_keeps_no_lists_and_no_list_is_kept_there(shop: Shop):
    only_conversions(shop)
    shop.agree(1, 2, denied=(3,))
    shop.send()
    assert shop.there

    rule = 'rule = { did = "purchase", within = "14d" }'
    keys = ['name = "buyers"', rule, 'identity = ["email"]', 'destinations = ["ads"]']
    with (shop.folder / "microconv.toml").open("a") as file:
        file.write("\n".join(("", "[[segments]]", *keys, "")))
    shop.run("push").assert_failed(2, "does not say that the account accepts the terms of Customer Match")
    assert {each[0] for each in examined(shop)} == {"error", "ok"}


RETURNS = '[[guardrails]]\nname = "returns"\nevent = "page_view"\nper = "sessions"\nat_most = 0.1\n'


def test_guardrail_that_cannot_be_measured_stops_new_orders_and_not_what_is_taken_back(shop: Shop):
    shop.send()
    shop.keys = 'guardrails = ["returns"]'
    shop.of_push = RETURNS
    shop.configure()
    shop.stage(*(bought(number) for number in range(1, 4)), [*bought(4), given_back(4, 10.0)], bought(5))
    shop.agree(1, 2, 3, 4, 5)
    before = dict(shop.there)

    dry = shop.run("conversions", "send", "--dry-run")
    assert dry.code == 1
    assert "guardrail returns" in dry.stderr
    assert shop.there == before

    done = shop.run("conversions", "send")

    assert done.code == 1
    assert "cannot be measured: not enough data: n =" in done.stderr
    assert "Nothing is sent but orders that are taken back" in done.stderr
    assert "orders at ads: 1 order taken back all the same." in done.stderr
    assert shop.there == before | {"T4": 0.0}
    assert "let through by --allow-guardrail" in shop.run("conversions", "send", "--allow-guardrail", "returns").stderr
    assert shop.there == before | {"T4": 0.0, "T5": 10.0}
