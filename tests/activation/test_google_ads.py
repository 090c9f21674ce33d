"""Google Ads Customer Match: its settings, its list, what is sent to it, and what each answer means."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pushed_shop import Shop, emails

from data_manager_server import (
    START,
    DataManagerModel,
    DataManagerServer,
    Fault,
    HangUp,
    Refuse,
    serving,
)
from microconv import catalogue
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.data_manager_answers import answer_of
from microconv.activation.destinations.google_ads import GoogleAdsDestination, GoogleAdsList
from microconv.activation.push.audience_list import Answer, Identifier, RefusedError, TryLaterError, UnsureError
from microconv.activation.push.identifiers import Address
from microconv.clients.data_manager import ReceiverStatus
from microconv.config.destination_settings import DestinationConfig
from microconv.errors import ConfigError, DestinationError, UsageError
from microconv.testing import DestinationContract

KEYS: dict[str, Any] = {
    "kind": "google_ads",
    "customer_id": "123-456-7890",
    "accepts_customer_match_terms": True,
}
ANNA = Identifier("email", sha256_hex("anna@shop.example"))
BEN = Identifier("phone", sha256_hex("+491701234567"))
CARL = Identifier("address", Address(sha256_hex("carl"), sha256_hex("maier"), "DE", "10115").identifier)
CODE = "microconv:there:buyers"


@pytest.fixture(scope="module")
def shared() -> Iterator[DataManagerServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: DataManagerServer) -> DataManagerServer:
    shared.model = DataManagerModel()
    return shared


def at(server: DataManagerServer, transport: str = "grpc", **keys: Any) -> GoogleAdsDestination:
    entry = DestinationConfig(
        name="there", **KEYS, endpoint=server.url(transport), transport=transport, timeout="5s", **keys
    )
    made = catalogue.destination(entry, Path("/nowhere/microconv.toml"))
    assert isinstance(made, GoogleAdsDestination)
    return made


@pytest.fixture(params=["grpc", "rest"])
def destination(request: pytest.FixtureRequest, server: DataManagerServer) -> GoogleAdsDestination:
    return at(server, request.param)


def buyers(destination: GoogleAdsDestination) -> GoogleAdsList:
    return destination.audience_list("buyers", "p1")


# The contract of all destinations


class CustomerMatch(DestinationContract):
    keys: ClassVar[dict[str, Any]] = KEYS
    transport: ClassVar[str]
    schedules = (2, 0)
    # Google's page gives these digests: developers.google.com/data-manager/api/devguides/concepts/formatting
    vectors = (
        ("email", "alexz@example.com", "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
        ("email", "Cloudy.SanFrancisco+shopping@gmail.com", sha256_hex("cloudysanfrancisco@gmail.com")),
        ("phone", "+1 800 555 0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
    )

    @pytest.fixture
    def destination(self, server: DataManagerServer) -> Destination:  # type: ignore[override]  # a fixture
        server.model.slowest = 3
        self.server = server
        return at(server, self.transport)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:  # noqa: ARG002 - the server knows
        return {Identifier(*each) for each in self.server.model.members(f"microconv:there:{segment}")}

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - see above
        self.server.model.tick(4)


class TestOverGrpc(CustomerMatch):
    transport = "grpc"


class TestOverRest(CustomerMatch):
    transport = "rest"
    schedules = (2, 20)


# Its list


def test_the_first_members_make_the_list(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    assert destination.starts_anew("buyers")
    buyers(destination).send("add", [ANNA, BEN, CARL])
    (kept,) = server.model.lists.values()
    assert kept.user_list.display_name == "microconv buyers"
    assert kept.user_list.membership_duration == timedelta(days=540)
    info = kept.user_list.ingested_user_list_info
    assert [each.name for each in info.upload_key_types] == ["CONTACT_ID"]
    assert info.contact_id_info.data_source_type.name == "DATA_SOURCE_TYPE_FIRST_PARTY"
    assert server.model.members(CODE) == {tuple(each) for each in (ANNA, BEN, CARL)}
    assert not destination.starts_anew("buyers")


def test_a_list_is_found_again_and_made_once(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    for identifier in (ANNA, BEN):
        buyers(destination).send("add", [identifier])
    assert len(server.model.lists) == 1
    assert server.model.members(CODE) == {tuple(ANNA), tuple(BEN)}


def test_a_list_that_was_made_unseen_is_found(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    server.model.scripted = {"CreateUserList": deque([HangUp(is_done=True)])}
    audience = buyers(destination)
    with pytest.raises(TryLaterError):
        audience.send("add", [ANNA])
    assert server.model.members(CODE) == set()
    audience.send("add", [ANNA])
    assert len(server.model.lists) == 1
    assert server.model.members(CODE) == {tuple(ANNA)}


def test_removals_need_no_list(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    assert buyers(destination).send("remove", [ANNA]).state == "success"
    assert server.model.calls == ["ListUserLists"]


def test_a_list_of_your_own_is_taken_by_its_number(server: DataManagerServer) -> None:
    own = str(server.model.add_list("", "VIPs").user_list.id)
    destination = at(server, lists={"buyers": own})
    buyers(destination).send("add", [ANNA])
    assert list(server.model.lists) == [own]
    assert server.model.lists[own].members.keys() == {tuple(ANNA)}
    with pytest.raises(DestinationError, match="NOT_FOUND: there is no such list or account"):
        at(server, lists={"buyers": "99"}).starts_anew("buyers")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"read_only": True}, "read-only"),
        ({"membership_status": "CLOSED", "closing_reason": "UNUSED"}, "no campaign has used it for long"),
        ({"membership_status": "CLOSED"}, "closed: open it again"),
        ({"ingested_user_list_info": {"upload_key_types": ["MOBILE_ID"]}}, "upload key type"),
        ({"membership_duration": timedelta(days=30)}, "set membership_days = 30"),
    ],
)
def test_a_list_that_cannot_take_members_is_told(
    fields: dict[str, Any], said: str, destination: GoogleAdsDestination, server: DataManagerServer
) -> None:
    kept = server.model.add_list(CODE, **fields)
    kept.members = {tuple(ANNA): START}
    audience = buyers(destination)
    with pytest.raises(RefusedError, match=said) as caught:
        audience.send("add", [BEN])
    assert caught.value.rows == ()
    # Who left, or refused, is taken off all the same.
    audience.send("remove", [ANNA])
    assert kept.members == {}


def test_two_lists_with_our_code_are_one_too_many(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    for name in ("one", "two"):
        server.model.add_list(CODE, name)
    with pytest.raises(RefusedError, match="2 lists with the code"):
        buyers(destination).send("add", [ANNA])


def test_a_name_that_is_taken_is_told(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    server.model.add_list("somebody's", "microconv buyers")
    with pytest.raises(RefusedError, match="another list of that name"):
        buyers(destination).send("add", [ANNA])
    assert len(server.model.lists) == 1


def test_names_of_lists_can_be_given(server: DataManagerServer) -> None:
    destination = at(server, list_names={"buyers": "Käufer"}, membership_days=90)
    buyers(destination).send("add", [ANNA])
    (kept,) = server.model.lists.values()
    assert (kept.user_list.display_name, kept.user_list.membership_duration) == ("Käufer", timedelta(days=90))
    assert buyers(destination).limits.refresh_after == timedelta(days=72)


# What answers mean


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HangUp(), UnsureError),
        (HangUp(is_done=True), UnsureError),
        (Refuse(503), UnsureError),
        (Refuse(429, "RESOURCE_EXHAUSTED", retry_after=7.0), TryLaterError),
        (Refuse(403, "PERMISSION_DENIED"), RefusedError),
    ],
)
def test_failures_of_a_request(
    fault: Fault, error: type[Exception], destination: GoogleAdsDestination, server: DataManagerServer
) -> None:
    server.model.scripted = {"IngestAudienceMembers": deque([fault])}
    with pytest.raises(error) as caught:
        buyers(destination).send("add", [ANNA])
    if isinstance(caught.value, TryLaterError):
        assert caught.value.retry_after == timedelta(seconds=7)


def test_a_wrong_identifier_is_named_by_its_place(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    server.model.bad = {tuple(BEN)}
    with pytest.raises(RefusedError, match="INVALID_SHA256_FORMAT") as caught:
        buyers(destination).send("add", [ANNA, CARL, BEN])
    assert caught.value.rows == (2,)
    assert server.model.members(CODE) == set()


def test_a_request_is_asked_about_until_it_is_done(
    destination: GoogleAdsDestination, server: DataManagerServer
) -> None:
    server.model.slowest = 2
    answer = buyers(destination).send("add", [ANNA])
    assert (answer.state, answer.request_id) == ("accepted", "req-0")
    assert buyers(destination).ask("req-0") == Answer("accepted", "req-0")
    server.model.tick(3)
    assert buyers(destination).ask("req-0") == Answer("success", "req-0")
    assert buyers(destination).ask("req-9").state == "unknown"
    server.model.faults = deque([Refuse(403, "PERMISSION_DENIED")])
    with pytest.raises(UnsureError):
        buyers(destination).ask("req-0")


SOME = ReceiverStatus("1", "partial", 10, 3, (("PROCESSING_ERROR_REASON_INVALID_FORMAT", 3),))


@pytest.mark.parametrize(
    ("statuses", "answer"),
    [
        ((), Answer("unknown", "r", reason="Google does not know the request any more")),
        ((ReceiverStatus("1", "unknown"),), Answer("accepted", "r")),
        ((ReceiverStatus("1", "success"), ReceiverStatus("2", "processing")), Answer("accepted", "r")),
        ((ReceiverStatus("1", "success", 10),), Answer("success", "r")),
        ((SOME,), Answer("partial", "r", 3, "PROCESSING_ERROR_REASON_INVALID_FORMAT (3)")),
        ((ReceiverStatus("1", "partial"),), Answer("partial", "r")),
        ((ReceiverStatus("1", "failed"),), Answer("failed", "r", reason="Google rejected all of it")),
        ((ReceiverStatus("1", "failed"), ReceiverStatus("2", "success")), Answer("partial", "r")),
        ((ReceiverStatus("1", "success", 10, 2),), Answer("partial", "r", 2)),
    ],
)
def test_states_of_a_request(statuses: tuple[ReceiverStatus, ...], answer: Answer) -> None:
    assert answer_of("r", statuses) == answer


# What is looked at without changing anything


def findings(destination: GoogleAdsDestination) -> list[tuple[str, str]]:
    return [(each.severity, each.message) for each in destination.examine(["buyers"])]


def test_the_doctor_tries_a_member_who_is_nobody(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    assert findings(destination) == [("ok", "Google has no list of buyers yet, and would let the first push make it.")]
    assert not server.model.lists
    server.model.add_list(CODE)
    assert findings(destination) == [("ok", "Google would take members of buyers: it checked one who is nobody.")]
    (member,) = server.model.requests[-1].audience_members
    assert server.model.requests[-1].validate_only
    assert member.user_data.user_identifiers[0].email_address == CustomerMatch.vectors[0][2]
    assert server.model.members(CODE) == set()


@pytest.mark.parametrize(
    ("method", "fault", "said"),
    [
        ("IngestAudienceMembers", Refuse(400, "TERMS_AND_CONDITIONS_NOT_SIGNED"), "terms were not accepted"),
        (
            "IngestAudienceMembers",
            Refuse(400, "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED"),
            "must first declare whether its campaigns are EU political advertising",
        ),
        ("ListUserLists", Refuse(403, "SERVICE_DISABLED"), "gcloud services enable datamanager"),
        ("ListUserLists", Refuse(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "not for the scope https://"),
        ("IngestAudienceMembers", Refuse(429, "RESOURCE_EXHAUSTED"), "quota of requests is used up"),
    ],
)
def test_the_doctor_says_what_is_missing(
    method: str, fault: Refuse, said: str, destination: GoogleAdsDestination, server: DataManagerServer
) -> None:
    server.model.add_list(CODE)
    server.model.scripted = {method: deque([fault])}
    ((severity, message),) = findings(destination)
    assert severity == ("not_tested" if fault.status == 429 else "error")
    assert said in message


def test_the_doctor_tells_a_list_that_is_closed(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    server.model.add_list(CODE, membership_status="CLOSED", closing_reason="UNUSED")
    ((severity, message),) = findings(destination)
    assert severity == "error"
    assert "no campaign has used it for long" in message


def test_size_and_match_rate_are_read_back(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    assert destination.list_facts("buyers") is None
    kept = server.model.add_list(CODE)
    kept.members = {("email", str(number)): START for number in range(1_200)}
    facts = destination.list_facts("buyers")
    assert facts is not None
    assert (facts.members, facts.match_rate, facts.is_open) == (1_200, 0.56, True)
    assert facts.notes == ("estimated by network: display 1,200, search 600, youtube 1,200, gmail 0",)
    kept.members = {}
    kept.user_list.membership_status = "CLOSED"
    facts = destination.list_facts("buyers")
    assert facts is not None
    assert not facts.is_open
    assert facts.members == 0
    assert "fewer than 100 active people" in facts.notes[1]
    assert "the list is closed" in facts.notes[2]


def test_a_request_is_checked_without_any_effect(destination: GoogleAdsDestination, server: DataManagerServer) -> None:
    first = destination.validate("buyers", "add", [ANNA])
    assert first == Answer("unknown", reason="there is no list yet, the push makes it")
    server.model.add_list("another", "microconv buyers")
    with pytest.raises(RefusedError, match="another list of that name"):
        destination.validate("buyers", "add", [ANNA])
    kept = server.model.add_list(CODE, "buyers")
    kept.members = {tuple(CARL): START}
    for operation in ("add", "remove"):
        assert destination.validate("buyers", operation, [ANNA, CARL]) == Answer("success")
    assert kept.members == {tuple(CARL): START}
    server.model.bad = {tuple(BEN)}
    with pytest.raises(RefusedError) as caught:
        destination.validate("buyers", "add", [ANNA, BEN])
    assert caught.value.rows == (1,)


# Its settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"customer_id": "12345"}, "not the number of a Google Ads account"),
        ({"accepts_customer_match_terms": False}, "Customer Match policy"),
        ({"membership_days": 541}, "540"),
        ({"requests_per_minute": 300}, "270"),
        ({"lists": {"buyers": "x"}}, "not the number of a list"),
        ({"endpoint": "http://example.com"}, "https"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], said: str) -> None:
    entry = DestinationConfig(**{"name": "there", **KEYS, **changed})
    with pytest.raises(ConfigError, match=said):
        catalogue.destination(entry, Path("/nowhere/microconv.toml"))


def test_the_terms_must_be_accepted_for_lists() -> None:
    entry = DestinationConfig(name="there", kind="google_ads", customer_id="1234567890")
    there = catalogue.destination(entry, Path("/nowhere/microconv.toml"))
    assert there.conversions("777").rules.name == "Google Ads"
    with pytest.raises(UsageError, match="accepts the terms of Customer Match"):
        there.audience_list("carts", "p1")
    with pytest.raises(UsageError, match="accepts the terms of Customer Match"):
        list(there.examine(["carts"]))


# By the command

OF_PUSH = """
[[destinations]]
name = "google"
kind = "google_ads"
customer_id = "1234567890"
accepts_customer_match_terms = true
endpoint = "{endpoint}"
transport = "{transport}"
"""


@pytest.fixture(params=["grpc", "rest"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, server: DataManagerServer) -> Shop:
    keys = OF_PUSH.format(endpoint=server.url(request.param), transport=request.param)
    return Shop(tmp_path / "shop", of_push=keys)


def held(server: DataManagerServer) -> set[str]:
    return {value for _, value in server.model.members("microconv:google:carts")}


def test_a_push_a_denial_and_nothing_twice(shop: Shop, server: DataManagerServer) -> None:
    server.model.slowest = 1
    done = shop.run("push", "carts", "--to", "google", "--dry-run")
    assert done.code == 0, done.stderr
    assert held(server) == set()
    assert not server.model.lists
    for people, agreed in (({1, 2, 3, 4}, [1, 2, 3, 4]), ({2, 3, 4}, [2, 3, 4])):
        shop.agree(agreed, denied=[1] if 1 not in people else [])
        done = shop.run("push", "carts", "--to", "google")
        assert done.code == 0, done.stderr
        server.model.settle()
        assert held(server) >= emails(*people)
        assert not held(server) & emails(*({1, 2, 3, 4} - people))
    assert shop.run("push", "poll").code == 0
    writes = [each for each in server.model.calls if "Members" in each]
    assert shop.run("push", "carts", "--to", "google").code == 0
    assert [each for each in server.model.calls if "Members" in each] == writes


def test_commands_say_what_google_says(shop: Shop, server: DataManagerServer) -> None:
    done = shop.run("push", "carts", "--to", "google", "--dry-run")
    assert done.code == 0, done.stderr
    assert "there is no list yet, the push makes it" in done.stderr
    assert shop.run("push", "carts", "--to", "google").code == 0
    shop.agree([2, 3, 4], denied=[1])
    done = shop.run("push", "carts", "--to", "google", "--dry-run")
    assert done.code == 0, done.stderr
    assert "it would take the first request to remove" in " ".join(done.stdout.split())
    assert held(server) >= emails(1, 2, 3, 4)
    done = shop.run("push", "status", "--ask", "--format", "json")
    (row,) = [each for each in json.loads(done.stdout)["lists"] if each["destination"] == "google"]
    assert (row["there"], row["match_rate"]) == ("open", 0.56)
    assert "Google lets these credentials read the lists" in " ".join(shop.run("doctor").stdout.split())
    config = shop.folder / "microconv.toml"
    config.write_text(config.read_text().replace('destinations = ["crm"]', 'destinations = ["google"]'))
    server.model.scripted = {"IngestAudienceMembers": deque([Refuse(400, "TERMS_AND_CONDITIONS_NOT_SIGNED")])}
    done = shop.run("doctor")
    assert "TERMS_AND_CONDITIONS_NOT_SIGNED" in " ".join(done.stdout.split())


def test_a_list_that_was_deleted_there_is_said_again_whole(shop: Shop, server: DataManagerServer) -> None:
    assert shop.run("push", "carts", "--to", "google").code == 0
    assert shop.run("push", "poll").code == 0
    server.model.lists.clear()
    done = shop.run("push", "carts", "--to", "google")
    assert done.code == 0, done.stderr
    assert held(server) >= emails(1, 2, 3, 4)


def test_a_list_that_was_deleted_while_a_request_is_worked_on_waits(shop: Shop, server: DataManagerServer) -> None:
    server.model.slowest = 4
    assert shop.run("push", "carts", "--to", "google").code == 0
    server.model.lists.clear()
    done = shop.run("push", "carts", "--to", "google")
    assert done.code == 4
    assert "its list is gone there, while" in done.stderr
    server.model.settle()
    assert shop.run("push", "poll").code == 0
    assert shop.run("push", "carts", "--to", "google").code == 0
    server.model.settle()
    assert held(server) >= emails(1, 2, 3, 4)


def test_a_server_that_cannot_be_reached_is_told(shop: Shop, server: DataManagerServer) -> None:
    server.model.scripted = {"ListUserLists": deque([Refuse(403, "PERMISSION_DENIED")])}
    done = shop.run("push", "carts", "--to", "google")
    assert done.code == 4
    assert "these credentials may not use the account" in done.stderr
    assert held(server) == set()


def test_without_credentials_nothing_is_planned_or_sent(tmp_path: Path, server: DataManagerServer) -> None:
    keys = OF_PUSH.format(endpoint=server.rest, transport="rest") + 'credentials_file = "key.json"\n'
    done = Shop(tmp_path / "shop", of_push=keys).run("push", "carts", "--to", "google")
    assert done.code == 2
    assert "The key file" in done.stderr
    assert not server.model.calls
