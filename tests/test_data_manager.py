"""Google's Data Manager API by the real client, gRPC and REST, against a server on loopback."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tenacity import Retrying, wait_none

from data_manager_server import (
    START,
    DataManagerModel,
    DataManagerServer,
    Fail,
    Fault,
    HangUp,
    HtmlPage,
    Refuse,
    Slow,
    serving,
)
from microconv.activation.audience.normalise import sha256_hex
from microconv.clients.data_manager import (
    Account,
    DataManager,
    DataManagerAccess,
    MemberKey,
    Receiver,
    ReceiverStatus,
)
from microconv.clients.data_manager_failures import SCOPE, BusyError, RequestRefusedError
from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.errors import UsageError

ADS = Account("1234567890")
GA4 = Account("987654", "GOOGLE_ANALYTICS_PROPERTY")
NO_WAIT = Retrying(wait=wait_none())
ANNA = MemberKey("email", sha256_hex("anna@shop.example"))
BEN = MemberKey("phone", sha256_hex("+491701234567"))
HOME = MemberKey("address", (sha256_hex("anna"), sha256_hex("adler"), "DE", "10115"))


@pytest.fixture(scope="module")
def shared() -> Iterator[DataManagerServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(shared: DataManagerServer) -> DataManagerServer:
    shared.model = DataManagerModel()
    shared.token = None
    return shared


@pytest.fixture(params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(server: DataManagerServer, transport: str) -> Iterator[DataManager]:
    made = client_of(server.url(transport), transport)
    yield made
    made.close()


def client_of(url: str, transport: Any, **more: Any) -> DataManager:
    return DataManager(
        DataManagerAccess(endpoint=url, transport=transport, **{"timeout_seconds": 5, **more}), retrying=NO_WAIT
    )


def receiver(server: DataManagerServer, code: str = "mc:buyers", login: Account | None = None) -> Receiver:
    return Receiver(ADS, str(server.model.add_list(code, name=code).user_list.id), login)


# Members


def test_members_are_put_on_a_list_and_taken_off(client: DataManager, server: DataManagerServer) -> None:
    there = receiver(server)
    first = client.ingest_members([there], [[ANNA, BEN], [HOME]])
    assert server.model.members("mc:buyers") == {
        ("email", ANNA.value),
        ("phone", BEN.value),
        ("address", "\t".join(HOME.value)),
    }
    second = client.remove_members([there], [[ANNA], [HOME]])
    assert server.model.members("mc:buyers") == {("phone", BEN.value)}
    assert first != second


def test_a_request_has_terms_consent_and_accounts_as_documented(client: DataManager, server: DataManagerServer) -> None:
    there = receiver(server, login=Account("5550000000"))
    client.ingest_members([there], [[ANNA]])
    (request,) = server.model.requests
    assert request.terms_of_service.customer_match_terms_of_service_status.name == "ACCEPTED"
    assert request.encoding.name == "HEX"
    (member,) = request.audience_members
    assert {member.consent.ad_user_data.name, member.consent.ad_personalization.name} == {"CONSENT_GRANTED"}
    (destination,) = request.destinations
    assert (destination.operating_account.account_type.name, destination.operating_account.account_id) == (
        "GOOGLE_ADS",
        "1234567890",
    )
    assert destination.login_account.account_id == "5550000000"


def test_several_lists_in_one_request(client: DataManager, server: DataManagerServer) -> None:
    client.ingest_members([receiver(server), receiver(server, "mc:other")], [[ANNA]])
    assert server.model.members("mc:buyers") == server.model.members("mc:other") == {("email", ANNA.value)}
    assert [each.state for each in client.status("req-0")] == ["success", "success"]


def test_what_is_only_checked_takes_no_effect(client: DataManager, server: DataManagerServer) -> None:
    there = receiver(server)
    assert client.ingest_members([there], [[ANNA]], validate_only=True) == ""
    assert client.remove_members([there], [[ANNA]], validate_only=True) == ""
    assert client.remove_all([there], START, validate_only=True) == ""
    assert server.model.members("mc:buyers") == set()
    with pytest.raises(RequestRefusedError) as caught:
        client.ingest_members([there], [[ANNA], [MemberKey("email", "anna@shop.example")]], validate_only=True)
    assert caught.value.rows == (1,)


def test_whoever_was_not_said_again_since_is_removed(client: DataManager, server: DataManagerServer) -> None:
    there = receiver(server)
    client.ingest_members([there], [[ANNA], [BEN]])
    server.model.tick(10)
    since = server.model.now
    client.ingest_members([there], [[BEN]])
    client.remove_all([there], since)
    assert server.model.members("mc:buyers") == {("phone", BEN.value)}


# What becomes of a request


def test_a_request_is_processed_before_it_succeeds(client: DataManager, server: DataManagerServer) -> None:
    server.model.slowest = 3
    there = receiver(server)
    request_id = client.ingest_members([there], [[ANNA], [BEN]])
    assert [each.state for each in client.status(request_id)] == ["processing"]
    server.model.tick(4)
    assert client.status(request_id) == (
        ReceiverStatus(there.product_destination_id, "success", 2, None, (), "MATCH_RATE_RANGE_51_TO_60"),
    )


def test_rejected_events_are_counted_and_not_named(client: DataManager) -> None:
    event = {"transactionId": "o1", "eventTimestamp": "2026-01-01T08:00:00+01:00", "conversionValue": 0}
    conversions = Receiver(ADS, "777")
    client.ingest_events([conversions], [event])
    request_id = client.ingest_events([conversions], [event, {**event, "transactionId": "o2"}])
    assert client.status(request_id) == (
        ReceiverStatus("777", "partial", 2, 1, (("PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID", 1),)),
    )


@pytest.mark.parametrize("age", [None, timedelta(days=51)])
def test_a_request_that_is_forgotten_has_no_state(
    age: timedelta | None, client: DataManager, server: DataManagerServer
) -> None:
    request_id = client.ingest_members([receiver(server)], [[ANNA]])
    if age is not None:
        server.model.now += age
    assert client.status(request_id if age else "another") == ()


# Events


def test_events_arrive_as_they_were_written(client: DataManager, server: DataManagerServer) -> None:
    properties = {"additionalUserProperties": [{"propertyName": "mc_buyers", "value": "in"}]}
    event = {
        "eventTimestamp": "2026-01-01T08:00:00.25+01:00",
        "eventName": "mc_audience",
        "clientId": "12.34",
        "userProperties": properties,
        "conversionValue": 12.5,
        "currency": "EUR",
        "userData": {"userIdentifiers": [{"emailAddress": ANNA.value}]},
    }
    client.ingest_events([Receiver(GA4, "G-ABC")], [event])
    (sent,) = server.model.events
    assert sent.receiver.operating_account.account_type.name == "GOOGLE_ANALYTICS_PROPERTY"
    assert sent.receiver.product_destination_id == "G-ABC"
    assert sent.event.user_properties.additional_user_properties[0].property_name == "mc_buyers"
    assert sent.event.event_timestamp.timestamp() == datetime(2026, 1, 1, 7, 0, 0, 250_000, tzinfo=UTC).timestamp()
    assert sent.event.user_data.user_identifiers[0].email_address == ANNA.value


def test_an_event_at_fault_is_named_by_its_place(client: DataManager) -> None:
    good = {"eventTimestamp": "2026-01-01T08:00:00Z"}
    with pytest.raises(RequestRefusedError) as caught:
        client.ingest_events([Receiver(GA4, "G-ABC")], [good, {"eventName": "x"}, good])
    assert (caught.value.rows, caught.value.reasons) == ((1,), ("REQUIRED_FIELD_MISSING",))


# What failures mean


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [
        (HangUp(), False),
        (HangUp(is_done=True), True),
        (Fail(500), True),
        (Fail(503), True),
        (Fail(504), True),
        (Fail(409), True),  # aborted: another change was under way
        (Refuse(503), False),
        (Slow(0.5), True),
    ],
)
def test_what_may_have_taken_effect_is_not_sent_again(
    fault: Fault, is_done: bool, server: DataManagerServer, transport: str
) -> None:
    client = client_of(server.url(transport), transport, timeout_seconds=0.25)
    there = receiver(server)
    for call in (client.ingest_members, client.remove_members):
        server.model.calls.clear()
        server.model.faults = deque([fault])
        with pytest.raises(NoAnswerError):
            call([there], [[ANNA]])
        assert len(server.model.calls) == 1
        if isinstance(fault, Slow):  # the connection of the slow answer is still busy
            client.close()
    assert (len(server.model.accepted) == 2) is is_done
    client.close()


def test_a_page_of_something_in_between_is_no_success(server: DataManagerServer) -> None:
    client = client_of(server.rest, "rest")
    server.model.faults = deque([HtmlPage(200), HtmlPage(502)])
    for _ in range(2):
        with pytest.raises(NoAnswerError):
            client.ingest_members([receiver(server, f"mc:{_}")], [[ANNA]])


def test_an_answer_without_an_id_is_no_answer(
    client: DataManager, server: DataManagerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataManagerModel, "_accept", lambda *_: "")
    with pytest.raises(NoAnswerError, match="no request id"):
        client.ingest_members([receiver(server)], [[ANNA]])


def test_a_request_too_many_says_how_long_to_wait(client: DataManager, server: DataManagerServer) -> None:
    server.model.writes_per_minute = 2
    there = receiver(server)
    for _ in range(2):
        client.ingest_members([there], [[ANNA]])
    with pytest.raises(BusyError, match="quota") as caught:
        client.ingest_members([there], [[BEN]])
    assert caught.value.retry_after == timedelta(seconds=60)
    assert server.model.members("mc:buyers") == {("email", ANNA.value)}


def test_an_answer_too_large_for_grpc_is_not_called_refused(
    server: DataManagerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.api_core.exceptions as api

    client = client_of(server.grpc, "grpc")
    too_large = api.ResourceExhausted("CLIENT: Received message larger than max")
    monkeypatch.setattr(type(client._ingestion), "ingest_audience_members", lambda *_, **__: _raise(too_large))
    with pytest.raises(NoAnswerError):
        client.ingest_members([receiver(server)], [[ANNA]])


def _raise(failure: Exception) -> None:
    raise failure


@pytest.mark.parametrize(
    ("refuse", "rows"),
    [
        (
            Refuse(
                400, "INVALID_ARGUMENT", (("audience_members.3.user_data.user_identifiers.0", "INVALID_HEX_ENCODING"),)
            ),
            (3,),
        ),
        (Refuse(400, "INVALID_ARGUMENT", (("audience_members[2].user_data", "INVALID_FORMAT"),)), (2,)),
        (Refuse(400, "INVALID_ARGUMENT", (("audienceMembers[4].userData", "X"), ("audienceMembers[1]", "X"))), (1, 4)),
        (Refuse(400, "INVALID_ARGUMENT"), None),
        (Refuse(400, "INVALID_POSTAL_CODE"), None),
        (Refuse(400), None),
        (Refuse(400, "INVALID_ARGUMENT", (("destinations.0", "INVALID_DESTINATION"),)), ()),
        (Refuse(400, "TERMS_AND_CONDITIONS_NOT_SIGNED"), ()),
        (Refuse(401), ()),
        (Refuse(403, "PERMISSION_DENIED"), ()),
        (Refuse(404, "NOT_FOUND"), ()),
    ],
)
def test_a_refusal_names_rows_only_where_the_api_does(
    refuse: Refuse, rows: tuple[int, ...] | None, client: DataManager, server: DataManagerServer
) -> None:
    server.model.faults = deque([refuse])
    with pytest.raises(RequestRefusedError) as caught:
        client.ingest_members([receiver(server)], [[ANNA]])
    assert caught.value.rows == rows


def test_texts_of_the_api_are_never_repeated(client: DataManager, server: DataManagerServer) -> None:
    secret = "anna@shop.example is malformed"
    server.model.faults = deque([Refuse(400, secret, ((f"audience_members.0.{secret}", secret),), message=secret)])
    with pytest.raises(RequestRefusedError) as caught:
        client.ingest_members([receiver(server)], [[ANNA]])
    assert "anna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_connection_means_that_nothing_was_sent(transport: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = client_of(f"http://127.0.0.1:{closed.getsockname()[1]}", transport, timeout_seconds=0.3)
        with pytest.raises(NotSentError):
            client.ingest_members([Receiver(ADS, "1")], [[ANNA]])


def test_the_log_of_the_package_holds_no_identifier(
    client: DataManager, server: DataManagerServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.ingest_members([receiver(server)], [[ANNA]])
    said = caplog.text + "".join(str(vars(each)) for each in caplog.records)
    assert str(ANNA.value) not in said


# Lists


def test_a_list_is_made_and_found_by_its_code(client: DataManager, server: DataManagerServer) -> None:
    for number in range(3):
        server.model.add_list(f"mc:other-{number}", f"other {number}")
    assert client.user_lists(ADS, "mc:buyers") == []
    made = client.create_user_list(
        ADS, name="Buyers", integration_code="mc:buyers", description="who bought", keeps_for=timedelta(days=540)
    )
    (found,) = client.user_lists(ADS, "mc:buyers")
    assert found == made == client.user_list(ADS, made.list_id)
    assert (found.name, found.is_open, found.key_types) == ("Buyers", True, ("CONTACT_ID",))
    assert (found.keeps_for, found.match_rate, found.closing_reason) == (timedelta(days=540), None, None)


def test_a_list_tells_its_size_match_rate_and_why_it_was_closed(client: DataManager, server: DataManagerServer) -> None:
    kept = server.model.add_list("mc:buyers", membership_status="CLOSED", closing_reason="UNUSED")
    kept.members = {("email", str(number)): START for number in range(10)}
    (found,) = client.user_lists(ADS, "mc:buyers")
    assert found.sizes == {"display": 10, "search": 5, "youtube": 10, "gmail": 0}
    assert (found.match_rate, found.is_open, found.closing_reason) == (0.56, False, "UNUSED")


def test_a_list_of_another_code_is_never_taken_for_ours(client: DataManager, server: DataManagerServer) -> None:
    server.model.filters = False
    server.model.add_list("somebody's")
    assert client.user_lists(ADS, "mc:buyers") == []


def test_lists_over_many_pages_are_all_looked_at(client: DataManager, server: DataManagerServer) -> None:
    for number in range(1_001):
        server.model.add_list("mc:buyers", f"n{number}")
    assert len(client.user_lists(ADS, "mc:buyers")) == 1_001
    assert server.model.calls == ["ListUserLists"] * 2


def test_reading_is_tried_again_and_creating_is_not(client: DataManager, server: DataManagerServer) -> None:
    faults: list[Fault | None] = [Refuse(503), HangUp(), Refuse(429, "RESOURCE_EXHAUSTED")]
    server.model.faults = deque(faults)
    assert client.user_lists(ADS, "mc:buyers") == []
    assert len(server.model.calls) == 4
    server.model.faults = deque([HangUp(is_done=True)])
    with pytest.raises(NoAnswerError):
        client.create_user_list(
            ADS, name="B", integration_code="mc:buyers", description="", keeps_for=timedelta(days=30)
        )
    assert server.model.calls[4:] == ["CreateUserList"]
    assert len(client.user_lists(ADS, "mc:buyers")) == 1


def test_the_account_that_signs_in_is_told(client: DataManager, server: DataManagerServer) -> None:
    client.user_lists(ADS, "mc:buyers", login=Account("5550000000"))
    assert server.model.metadata["login-account"] == "accountTypes/GOOGLE_ADS/accounts/5550000000"
    client.user_lists(ADS, "mc:buyers", login=ADS)
    assert "login-account" not in server.model.metadata


# Credentials, and the package


def key_file(folder: Path, token_url: str) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = folder / "key.json"
    info = {"type": "service_account", "client_email": "robot@p.iam.gserviceaccount.com", "private_key": pem}
    path.write_text(json.dumps({**info, "token_uri": token_url, "project_id": "p"}))
    return path


def test_a_key_file_gives_the_token_that_calls_carry(server: DataManagerServer, tmp_path: Path) -> None:
    server.token = "a-token"
    client = client_of(server.rest, "rest", credentials_file=key_file(tmp_path, f"{server.rest}/token"))
    client.check_credentials()
    client.ingest_members([receiver(server)], [[ANNA]])
    assert server.model.metadata["authorization"] == "Bearer a-token"
    assert SCOPE.endswith("/auth/datamanager")


def test_without_credentials_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    monkeypatch.setattr(google.auth, "default", lambda **_: _raise(DefaultCredentialsError("none")))
    with pytest.raises(UsageError, match="no credentials") as caught:
        DataManager(DataManagerAccess()).check_credentials()
    assert caught.value.exit_code == 2
    assert "gcloud auth application-default login --scopes=" in caught.value.hint
    for content, said in (("{}", "not a key file"), (None, "cannot be read")):
        path = tmp_path / f"{content}.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(UsageError, match=said):
            DataManager(DataManagerAccess(credentials_file=path)).check_credentials()


def test_credentials_that_have_expired_are_told_before_a_call(
    server: DataManagerServer, tmp_path: Path, transport: str
) -> None:
    path = key_file(tmp_path, f"{server.rest}/token")
    client = client_of(server.url(transport), transport, credentials_file=path)
    with pytest.raises(UsageError, match="did not accept the credentials"):
        client.check_credentials()
    with pytest.raises(UsageError, match="did not accept the credentials"):
        client.ingest_members([Receiver(ADS, "1")], [[ANNA]])


def test_nothing_of_the_package_is_loaded_before_a_call() -> None:
    code = (
        "import sys; from pathlib import Path; from microconv import catalogue; "
        "from microconv.config.destination_settings import DestinationConfig as Entry; "
        "made = catalogue.destination(Entry(name='ads', kind='google_ads', customer_id='1234567890', "
        "accepts_customer_match_terms=True), Path('/nowhere/microconv.toml')); "
        "made.audience_list('buyers', 'p1'); "
        "print([each for each in sys.modules if each.startswith(('google', 'grpc'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.ads.datamanager_v1", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        DataManager(DataManagerAccess()).check_credentials()
    assert 'pip install "microconv[google-ads]"' in caught.value.hint
