"""Meta: its settings, its audience, what is sent to it and how, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pushed_shop import Shop, emails

from meta_server import (
    ACCOUNT,
    APP_SECRET,
    HTML,
    PROOF,
    SLOWEST,
    TOKEN,
    Audience,
    MetaModel,
    MetaServer,
    Told,
    error,
    serving,
    usage,
)
from microconv import catalogue
from microconv.activation.audience.normalise import META, sha256_hex
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.meta import MetaDestination, MetaList
from microconv.activation.push.audience_list import Answer, Identifier, RefusedError, TryLaterError, UnsureError
from microconv.activation.push.identifiers import Address
from microconv.config.destination_settings import DestinationConfig
from microconv.errors import ConfigError, DestinationError
from microconv.testing import DestinationContract

KEYS: dict[str, Any] = {
    "kind": "meta",
    "ad_account": f"act_{ACCOUNT}",
    "access_token": {"env": "META_TOKEN"},
    "app_secret": {"env": "META_SECRET"},
}
ANNA = Identifier("email", sha256_hex("anna@shop.example"))
BEN = Identifier("phone", sha256_hex("491701234567"))
CARL = Identifier("address", Address(*map(sha256_hex, ("carl", "maier", "de", "10115"))).identifier)
DORA = Identifier("user_id", sha256_hex("u4"))
MARK = "Kept by microconv: there/buyers"


@pytest.fixture(scope="module")
def shared() -> Iterator[MetaServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: MetaServer) -> MetaServer:
    shared.model, shared.addresses = MetaModel(), []
    return shared


@pytest.fixture(autouse=True)
def given_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("META_TOKEN", TOKEN)
    monkeypatch.setenv("META_SECRET", APP_SECRET)


def at(server: MetaServer, **keys: Any) -> MetaDestination:
    entry = DestinationConfig(**{"name": "there", **KEYS, "endpoint": server.address, "timeout": "5s", **keys})
    made = catalogue.destination(entry, Path("/nowhere/microconv.toml"))
    assert isinstance(made, MetaDestination)
    made.clock = server.model.timestamp
    return made


def buyers(server: MetaServer, **keys: Any) -> MetaList:
    return at(server, **keys).audience_list("buyers", "p1")


def there(server: MetaServer) -> Audience:
    found = server.model.audience(MARK)
    assert found is not None
    return found


def listed(server: MetaServer) -> set[Identifier]:
    found = server.model.audience(MARK)
    return set(found.listed) if found else set()


# The contract of all destinations


class TestMeta(DestinationContract):
    keys: ClassVar[dict[str, Any]] = {**KEYS, "external_id": True}
    schedules = (3, 0)
    # Meta's page gives the digests of the numbers and the name: see docs/meta.md.
    vectors = (
        ("email", "  .John_Smith@gmail.com. ", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("phone", "+1 (650) 555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
        ("user_id", "u 7", sha256_hex("u 7")),
    )

    @pytest.fixture
    def destination(self, server: MetaServer) -> Destination:  # type: ignore[override]  # a fixture
        self.server = server
        return at(server, external_id=True)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:  # noqa: ARG002 - the server knows
        found = self.server.model.audience(f"Kept by microconv: there/{segment}")
        return set(found.listed) if found else set()

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - see above
        self.server.model.tick(24 * 60 + 1)


def test_each_part_of_an_address_is_hashed_as_meta_does() -> None:
    # Digests of Meta's page on parameters of customer information.
    assert sha256_hex(str(META.name("Mary"))) == "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"
    assert sha256_hex(str(META.country("US"))) == "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"
    assert META.postal_code("94035-1234", "US") == "94035"


# Its audience


def test_the_first_members_make_the_audience(server: MetaServer) -> None:
    destination = at(server)
    assert destination.starts_anew("buyers")
    destination.audience_list("buyers", "p1").send("add", [ANNA, BEN, CARL])
    assert there(server).fields == {
        "name": "microconv buyers",
        "subtype": "CUSTOM",
        "description": MARK,
        "customer_file_source": "USER_PROVIDED_ONLY",
    }
    server.model.tick()
    assert listed(server) == {ANNA, BEN, CARL}
    assert not destination.starts_anew("buyers")


def test_an_audience_is_found_again_on_any_page_and_made_once(server: MetaServer) -> None:
    for number in range(4):
        server.model.audiences[str(number + 1)] = Audience(str(number + 1), {"description": f"another {number}"})
    for identifier in (ANNA, BEN):
        buyers(server).send("add", [identifier])
    server.model.tick()
    assert len(server.model.audiences) == 5
    assert listed(server) == {ANNA, BEN}


def test_an_audience_that_was_made_unseen_is_found(server: MetaServer) -> None:
    server.model.after = [Told(hangs_up=True)]
    audience = buyers(server)
    with pytest.raises(TryLaterError):
        audience.send("add", [ANNA])
    audience.send("add", [ANNA])
    server.model.tick()
    assert len(server.model.audiences) == 1
    assert listed(server) == {ANNA}


def test_removals_need_no_audience(server: MetaServer) -> None:
    assert buyers(server).send("remove", [ANNA]).state == "success"
    assert [method for method, _, _ in server.model.requests] == ["GET"]


def test_two_audiences_with_our_mark_are_one_too_many(server: MetaServer) -> None:
    for number in ("1", "2"):
        server.model.audiences[number] = Audience(number, {"description": MARK})
    with pytest.raises(RefusedError, match="2 audiences with the description"):
        buyers(server).send("add", [ANNA])


def test_an_audience_of_your_own_is_taken_by_its_number(server: MetaServer) -> None:
    server.model.audiences["77"] = Audience("77", {"description": "VIPs"})
    buyers(server, audiences={"buyers": "77"}).send("add", [ANNA])
    server.model.tick()
    assert set(server.model.audiences["77"].listed) == {ANNA}
    with pytest.raises(DestinationError, match="there is no such account, audience"):
        at(server, audiences={"buyers": "99"}).starts_anew("buyers")


def test_segments_that_name_one_audience_share_a_place(server: MetaServer) -> None:
    destination = at(server, audiences={"buyers": "77", "carts": "77", "vips": "78"})
    places = {segment: destination.list_place(segment) for segment in ("buyers", "carts", "vips", "others")}
    assert places["buyers"] == places["carts"]
    assert len(set(places.values())) == 3


def test_names_of_audiences_and_their_source_can_be_given(server: MetaServer) -> None:
    keys = {"audience_names": {"buyers": "Käufer"}, "customer_file_source": "BOTH_USER_AND_PARTNER_PROVIDED"}
    buyers(server, **keys).send("add", [ANNA])
    assert there(server).fields["name"] == "Käufer"
    assert there(server).fields["customer_file_source"] == "BOTH_USER_AND_PARTNER_PROVIDED"


# What is sent


def test_each_identifier_is_a_row_with_the_columns_of_its_kind(server: MetaServer) -> None:
    buyers(server, external_id=True).send("add", [CARL, ANNA, DORA, BEN])
    sent = server.model.requests[-1][2]
    assert sent["payload"]["schema"] == ["EMAIL", "PHONE", "EXTERN_ID", "FN", "LN", "COUNTRY", "ZIP"]
    assert sent["payload"]["data"] == [
        ["", "", "", *Address.of(CARL.value)],
        [ANNA.value, "", "", "", "", "", ""],
        ["", "", DORA.value, "", "", "", ""],
        ["", BEN.value, "", "", "", "", ""],
    ]
    assert {name: value for name, value in sent["session"].items() if name != "session_id"} == {
        "batch_seq": 1,
        "last_batch_flag": True,
        "estimated_num_total": 4,
    }


def test_requests_have_sessions_of_their_own(server: MetaServer) -> None:
    audience = buyers(server)
    for _ in range(3):
        audience.send("add", [ANNA])
    numbers = [sent["session"]["session_id"] for _, _, sent in server.model.requests if "session" in sent]
    assert len(set(numbers)) == 3
    assert all(0 < number < 2**63 for number in numbers)


def test_no_address_holds_an_identifier_a_token_or_a_secret(server: MetaServer) -> None:
    audience = buyers(server)
    answer = audience.send("add", [ANNA])
    audience.send("remove", [ANNA])
    server.model.tick(24 * 60)
    audience.ask(answer.request_id or "")
    at(server).check_ready()
    lines = "\n".join(server.addresses)
    assert {line.split()[0] for line in server.addresses} == {"GET", "POST", "DELETE"}
    for secret in (ANNA.value, TOKEN, APP_SECRET):
        assert secret not in lines
    assert PROOF in lines
    assert listed(server) == set()


@pytest.mark.parametrize("value", [sha256_hex(""), "", "anna@shop.example", ANNA.value.upper()])
def test_what_is_not_hashed_or_of_nothing_is_never_sent(value: str, server: MetaServer) -> None:
    of_nobody = Identifier("address", Address(ANNA.value, value, ANNA.value, ANNA.value).identifier)
    with pytest.raises(RefusedError) as caught:
        buyers(server).send("add", [ANNA, Identifier("email", value), of_nobody])
    assert caught.value.rows == (1, 2)
    assert server.model.requests == []


def test_user_ids_are_sent_only_where_that_was_said(server: MetaServer) -> None:
    assert at(server).accepts.identity == {"email", "phone"}
    assert at(server, external_id=True).accepts.identity == {"email", "phone", "user_id"}
    with pytest.raises(RefusedError) as caught:
        buyers(server).send("add", [DORA])
    assert caught.value.rows == (0,)


# What answers mean


@pytest.mark.parametrize(
    ("told", "raised", "said"),
    [
        (Told(hangs_up=True), UnsureError, "the connection broke"),
        (HTML, UnsureError, "HTTP 200, and its answer is not one of the Graph API"),
        (Told(200, document=[1]), UnsureError, "not one of the Graph API"),
        (Told(200, document={"audience_id": "1"}), UnsureError, "does not say how many rows"),
        (Told(500, page="<html>"), UnsureError, "HTTP 500"),
        (error(2, status=500), UnsureError, "it failed, and may have worked (Meta's error 2)"),
        (error(1), UnsureError, "Meta's error 1"),
        (error(99999, passing=True), UnsureError, "Meta's error 99999"),
        (error(4), TryLaterError, "too many requests (Meta's error 4)"),
        (error(613, 1487742), TryLaterError, "subcode 1487742"),
        (error(80003), TryLaterError, "Meta's error 80003"),
        (Told(429), TryLaterError, "HTTP 429"),
        (Told(503), TryLaterError, "HTTP 503"),
        (error(190, 463), RefusedError, "the access token is not valid"),
        (error(104), RefusedError, "app_secret"),
        (error(10), RefusedError, "ads_management"),
        (error(273), RefusedError, "ads_management"),
        (error(200, 1870034), RefusedError, "terms of custom audiences were not accepted"),
        (error(200, 1870047), RefusedError, "too few would be left"),
        (error(100, 1713230, passing=True), RefusedError, "blocked for integrity restrictions"),
        (error(100, 33), RefusedError, "there is no such account, audience"),
        (error(368), RefusedError, "abusive"),
        (error(100), RefusedError, "it was refused (Meta's error 100)"),
        (Told(302, headers={"Location": "http://127.0.0.1:9/"}), RefusedError, "redirect"),
    ],
)
def test_what_an_answer_means(told: Told, raised: type[Exception], said: str, server: MetaServer) -> None:
    audience = buyers(server)
    audience.send("add", [BEN])
    server.model.scripted = [lambda: told]
    with pytest.raises(raised) as caught:
        audience.send("add", [ANNA])
    assert said in str(caught.value)
    assert "anna" not in str(caught.value)
    server.model.tick()
    assert listed(server) == {BEN}


def test_only_a_wrong_parameter_may_be_about_rows(server: MetaServer) -> None:
    audience = buyers(server)
    audience.send("add", [BEN])
    rows = []
    for told in (error(100), error(100, 1713230), error(190)):
        server.model.scripted = [lambda told=told: told]  # type: ignore[misc]  # a default
        with pytest.raises(RefusedError) as caught:
            audience.send("add", [ANNA])
        rows.append(caught.value.rows)
    assert rows == [None, (), ()]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (usage(minutes=19), timedelta(minutes=19)),
        ({"X-Ad-Account-Usage": '{"acc_id_util_pct": 100, "reset_time_duration": 90}'}, timedelta(seconds=90)),
        ({"Retry-After": "7"}, timedelta(seconds=7)),
        ({"X-Business-Use-Case-Usage": '{"77": 5, "78": [{"estimated_time_to_regain_access": "x"}, 3]}'}, None),
        ({"X-Business-Use-Case-Usage": "no JSON"}, None),
        (usage(minutes=10**9), timedelta(days=1)),
    ],
)
def test_the_wait_that_meta_asks_for(headers: dict[str, str], wait: timedelta | None, server: MetaServer) -> None:
    audience = buyers(server)
    audience.send("add", [BEN])
    told = error(80003)
    told.headers = headers
    server.model.scripted = [lambda: told]
    with pytest.raises(TryLaterError) as caught:
        audience.send("add", [ANNA])
    assert caught.value.retry_after == wait


@pytest.mark.parametrize(
    ("headers", "wait"),
    [(usage(share=94), None), (usage(share=95), timedelta(minutes=5)), (usage(minutes=3), timedelta(minutes=3))],
)
def test_the_next_request_waits_when_the_allowance_is_nearly_used_up(
    headers: dict[str, str], wait: timedelta | None, server: MetaServer
) -> None:
    audience = buyers(server)
    audience.send("add", [BEN])
    server.model.after = [Told(200, {"num_received": 1, "num_invalid_entries": 0}, headers)]
    audience.send("add", [ANNA])
    asked = len(server.model.requests)
    if wait is not None:
        with pytest.raises(TryLaterError, match="nearly used up") as caught:
            audience.send("add", [CARL])
        assert caught.value.retry_after == wait
        assert len(server.model.requests) == asked
    # Once it has waited, it goes.
    audience.send("add", [CARL])
    assert len(server.model.requests) == asked + 1


def test_what_was_acknowledged_holds_after_a_day(server: MetaServer) -> None:
    answer = buyers(server).send("add", [ANNA])
    assert answer.state == "accepted"
    assert buyers(server).ask(answer.request_id or "") == answer
    server.model.tick(24 * 60 - 1)
    assert buyers(server).ask(answer.request_id or "").state == "accepted"
    server.model.tick()
    assert buyers(server).ask(answer.request_id or "") == Answer("success", answer.request_id)
    assert buyers(server).ask("1/2/3").state == "unknown"


@pytest.mark.parametrize("told_late", [False, True])
@pytest.mark.parametrize(("refused", "state"), [(1, "partial"), (3, "failed")])
def test_rows_that_meta_calls_invalid_are_counted(
    refused: int, state: str, *, told_late: bool, server: MetaServer
) -> None:
    said = {"num_received": 3, "num_invalid_entries": 0 if told_late else refused}
    server.model.after = [Told(document={"id": "5"}), Told(document=said)]
    server.model.audiences["5"] = Audience("5", {"description": "another"})
    answer = buyers(server).send("add", [ANNA, BEN, CARL])
    (session,) = server.model.audiences["5"].sessions.values()
    session["num_invalid_entries"] = str(refused if told_late else 0)
    server.model.tick(24 * 60)
    settled = buyers(server).ask(answer.request_id or "")
    assert (settled.state, settled.rejected) == (state, refused)


def test_rows_that_were_not_received_were_not_taken(server: MetaServer) -> None:
    buyers(server).send("add", [ANNA])
    server.model.after = [Told(document={"num_received": 1, "num_invalid_entries": 0})]
    answer = buyers(server).send("add", [ANNA, BEN])
    server.model.tick(24 * 60)
    assert buyers(server).ask(answer.request_id or "") == Answer("partial", answer.request_id, rejected=1)


def test_who_cannot_be_asked_now_has_not_said(server: MetaServer) -> None:
    answer = buyers(server).send("add", [ANNA])
    server.model.tick(24 * 60)
    for told, raised in ((error(190), UnsureError), (Told(hangs_up=True), UnsureError), (error(4), TryLaterError)):
        server.model.scripted = [lambda told=told: told]  # type: ignore[misc]  # a default
        with pytest.raises(raised):
            buyers(server).ask(answer.request_id or "")


# Before a push, and for the doctor


def test_the_doctor_says_what_is_there_and_what_is_wrong(server: MetaServer) -> None:
    destination = at(server)
    assert [each.severity for each in destination.examine(["buyers"])] == ["ok", "ok"]
    buyers(server).send("add", [ANNA])
    server.model.tick()
    found = [each.message for each in destination.examine(["buyers"])]
    assert found[-1] == "The audience of buyers takes people (1 to 101 people)."
    there(server).fields["operation_status"] = {"code": 471, "description": "blocked"}
    server.model.has_terms = False
    with pytest.raises(DestinationError, match="the proof of the app secret is missing or wrong"):
        list(at(server, app_secret=None).examine([]))
    terms, audience = [each for each in destination.examine(["buyers"]) if each.severity != "ok"]
    assert (terms.severity, audience.severity) == ("error", "error")
    assert "terms of custom audiences" in terms.message
    assert "Meta blocked it" in audience.message


def test_the_size_of_an_audience_is_a_range_and_a_blocked_one_is_not_open(server: MetaServer) -> None:
    destination = at(server)
    assert destination.list_facts("buyers") is None
    destination.audience_list("buyers", "p1").send("add", [ANNA, BEN])
    server.model.tick()
    facts = destination.list_facts("buyers")
    assert facts is not None
    assert (facts.members, facts.match_rate, facts.is_open) == (2, None, True)
    assert "2 to 102 people" in facts.notes[0]
    there(server).fields |= {"operation_status": {"code": 471}, "approximate_count_lower_bound": -1}
    facts = destination.list_facts("buyers")
    assert facts is not None
    assert (facts.members, facts.is_open) == (None, False)
    assert "Meta does not tell its size" in facts.notes[0]
    assert "status 471" in facts.notes[1]


def test_the_doctor_changes_nothing(server: MetaServer) -> None:
    list(at(server).examine(["buyers", "others"]))
    assert {method for method, _, _ in server.model.requests} == {"GET"}
    assert not server.model.audiences


# Its settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ad_account": "my shop"}, "not the number of an ad account"),
        ({"audiences": {"buyers": "../me"}}, "not the number of an audience"),
        ({"access_token": "EAAB"}, "holds a secret in clear"),
        ({"customer_file_source": "ELSEWHERE"}, "USER_PROVIDED_ONLY"),
        ({"endpoint": "http://example.com"}, "https"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], said: str) -> None:
    entry = DestinationConfig(**{"name": "there", **KEYS, **changed})
    with pytest.raises(ConfigError, match=said):
        catalogue.destination(entry, Path("/nowhere/microconv.toml"))


# By the command

OF_PUSH = """
[[destinations]]
name = "meta"
kind = "meta"
ad_account = "act_1234567890"
access_token = {{ env = "META_TOKEN" }}
app_secret = {{ env = "META_SECRET" }}
endpoint = "{endpoint}"
settles_after = "1s"
"""


@pytest.fixture
def shop(tmp_path: Path, server: MetaServer) -> Shop:
    return Shop(tmp_path / "shop", of_push=OF_PUSH.format(endpoint=server.address))


def held(server: MetaServer) -> set[str]:
    server.model.tick(SLOWEST)
    found = server.model.audience("Kept by microconv: meta/carts")
    return {each.value for each in found.listed} if found else set()


def test_a_dry_run_makes_nothing(shop: Shop, server: MetaServer) -> None:
    done = shop.run("push", "carts", "--to", "meta", "--dry-run")
    assert done.code == 0, done.stderr
    assert {method for method, _, _ in server.model.requests} == {"GET"}


def test_a_push_and_what_is_gone_is_said_again(shop: Shop, server: MetaServer) -> None:
    done = shop.run("push", "carts", "--to", "meta")
    assert done.code == 0, done.stderr
    assert held(server) == emails(1, 2, 3, 4)
    assert shop.run("push", "poll", "--wait").code == 0
    server.model.audiences.clear()
    done = shop.run("push", "carts", "--to", "meta")
    assert done.code == 0, done.stderr
    assert held(server) == emails(1, 2, 3, 4)


def test_the_doctor_and_the_status_ask_meta(shop: Shop, server: MetaServer) -> None:
    assert shop.run("push", "carts", "--to", "meta").code == 0
    server.model.tick(SLOWEST)
    done = shop.run("doctor")
    # Its lines are as wide as a terminal.
    assert "meta (meta): Meta takes the token for the ad account 1234567890." in " ".join(done.stdout.split())
    asked = shop.run("push", "status", "--ask", "--format", "json")
    assert asked.code == 0, asked.stderr
    assert "4 to 104 people" in asked.stdout


def test_without_its_token_nothing_is_planned_or_sent(
    shop: Shop, server: MetaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("META_TOKEN")
    done = shop.run("push", "carts", "--to", "meta")
    assert done.code == 2
    assert "META_TOKEN" in done.stderr
    assert not server.model.requests


def test_a_token_that_meta_does_not_take_is_told(
    shop: Shop, server: MetaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("META_TOKEN", "another")
    done = shop.run("push", "carts", "--to", "meta")
    assert done.code == 4
    assert "the access token is not valid" in done.stderr
    assert not server.model.requests
